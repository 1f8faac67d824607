"""Does the search follow its rule, and reach its target on judges whose mean is known?"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import accumulate

import numpy as np
import pytest
from scipy import stats

from mahals.maths.stats.bisection import Bisection, Found, Search, bisect
from mahals.maths.stats.intervals import Floats
from mahals.records import InputError

Judge = Callable[[np.random.Generator, float, int], Floats]  # the scores of so many answers

SEARCH = Search(low=0.0, high=10.0, mean=5.0, sd=2.5, target=0.3, queries=30)
SEEDS = 100


def mean_at(boost: float | Floats) -> Floats:
    """What the simulated judges' scores are on average: .5 at 4."""
    return np.asarray(1 / (1 + np.exp(np.asarray(boost) - 4)))


def smooth(rng: np.random.Generator, boost: float, answers: int) -> Floats:
    """Scores that lie around their mean."""
    mean = float(np.clip(mean_at(boost), 0.001, 0.999))
    return rng.beta(8 * mean, 8 * (1 - mean), answers)


def bimodal(rng: np.random.Generator, boost: float, answers: int) -> Floats:
    """An answer is on topic or off, nothing between."""
    return (rng.random(answers) < mean_at(boost)).astype(float)


def judged(kind: Judge, answers: int, seed: int) -> Callable[[float], float]:
    """A boost's mean score over fresh answers."""
    rng = np.random.default_rng(seed)
    return lambda boost: float(kind(rng, boost, answers).mean())


def reached(kind: Judge, target: float, answers: int) -> Floats:
    """(seeds,) true means where the search ends."""
    search = replace(SEARCH, target=target)
    return mean_at(np.array([bisect(judged(kind, answers, s), search).boost for s in range(SEEDS)]))


def reached_by_grid(kind: Judge, target: float, answers: int) -> Floats:
    """The same for as many queries at equal distances: the middle of those nearest the target."""
    grid, found = np.linspace(SEARCH.low, SEARCH.high, SEARCH.queries), []
    for seed in range(SEEDS):
        off = np.abs(np.array(list(map(judged(kind, answers, seed), grid))) - target)
        found.append(np.median(grid[off < off.min() + 1e-9]))
    return mean_at(np.array(found))


def by_hand(search: Search, scores: Sequence[float]) -> tuple[list[float], float]:
    """The rule word for word: the median before each query and after the last, the last sd."""
    points = range(10_000)
    grid = [search.low + i * (search.high - search.low) / 9999 for i in points]
    mass = [math.exp(-(((x - search.mean) / search.sd) ** 2) / 2) for x in grid]

    def median() -> int:
        half = sum(mass) / 2 * (1 - 1e-9)
        return next(i for i, below in enumerate(accumulate(mass)) if below >= half)

    medians = [median()]
    for score in scores:
        more_boost = score >= search.target
        below = stats.beta.cdf(search.target, 0.5 + 5 * score, 0.5 + 5 * (1 - score))
        p = 1 - below if more_boost else below
        if p < 0.5:
            more_boost, p = not more_boost, 1 - p
        p = min(max(p, 1e-9), 1 - 1e-9)
        mass = [mass[i] * (p if (i > medians[-1]) == more_boost else 1 - p) for i in points]
        medians.append(median())
    mean = sum(mass[i] * grid[i] for i in points) / sum(mass)
    variance = sum(mass[i] * (grid[i] - mean) ** 2 for i in points) / sum(mass)
    return [grid[i] for i in medians], math.sqrt(variance)


@pytest.mark.parametrize(
    ("search", "scores"),
    [
        (SEARCH, (0.8, 0.29, 0.0)),  # .29 is on the side of less, its odds on that of more
        (SEARCH, (0.0, 0.1, 0.31)),
        (Search(-2.0, 1.0, 3.0, 0.5, 0.5, 3), (0.2, 0.45, 0.5)),  # the prior's mean lies outside
        (replace(SEARCH, target=0.001), (1.0, 1.0, 0.0)),  # surer than a score may be
    ],
)
def test_three_queries_are_those_worked_by_hand(search: Search, scores: Sequence[float]) -> None:
    medians, sd = by_hand(search, scores)
    answers = iter(scores)
    found = bisect(lambda _: next(answers), replace(search, queries=3))
    assert [t.boost for t in found.tried] == pytest.approx(medians[:3], abs=1e-9)
    assert [t.score for t in found.tried] == list(scores)
    assert (found.boost, found.sd) == pytest.approx((medians[3], sd), abs=1e-9)


def test_rounding_does_not_choose_the_median_of_a_symmetric_prior() -> None:
    for sd in np.linspace(1, 20, 100):
        search = Search(0.0, 9999.0, 4999.5, 500.0 * float(sd), 0.5, 1)
        assert Bisection(search).boost == 4999.0


def test_a_flat_prior_is_cut_at_the_fraction_that_the_odds_say() -> None:
    """Mass p lies on [5, 10], so half of all lies above 5 + 5 (p - .5) / p."""
    told = Bisection(Search(0.0, 10.0, 5.0, 1e6, 0.5, 1))
    assert told.found().sd == pytest.approx(10 / math.sqrt(12), rel=1e-3)
    told.tell(1.0)
    p = 1 - stats.beta.cdf(0.5, 5.5, 0.5)
    assert told.boost == pytest.approx(5 + 5 * (p - 0.5) / p, abs=0.002)


def test_told_the_same_scores_a_search_is_where_it_was() -> None:
    whole = bisect(judged(bimodal, 5, 0), SEARCH)
    again = Bisection(SEARCH)
    for i, tried in enumerate(whole.tried):
        assert again.boost == tried.boost and again.found().tried == whole.tried[:i]
        again.tell(tried.score)
    assert again.found() == whole and len(whole.tried) == SEARCH.queries


@pytest.mark.parametrize("kind", [smooth, bimodal])
@pytest.mark.parametrize("target", [0.3, 0.5])
def test_at_five_answers_a_query_the_target_is_reached(kind: Judge, target: float) -> None:
    """And nearer together than by a grid search of equal cost."""
    means = reached(kind, target, 5)
    assert abs(means.mean() - target) < 0.03
    assert means.std() < 0.6 * reached_by_grid(kind, target, 5).std()


def test_at_one_answer_a_query_a_bimodal_target_is_missed() -> None:
    """One answer counts as five, so one that is off topic hides how many others are not."""
    means = reached(bimodal, 0.3, 1)
    assert means.mean() - 0.3 > 0.05
    assert means.std() > 2 * reached(bimodal, 0.3, 5).std()


def test_a_score_that_never_crosses_ends_at_a_bound() -> None:
    def found(score: Callable[[float], float]) -> Found:
        return bisect(score, SEARCH)

    always, never = found(lambda _: 1.0), found(lambda _: 0.0)
    assert always.hit_bound and always.boost > 9.9
    assert never.hit_bound and never.boost < 0.1
    for at in (0.2, 4.0, 9.8):
        inside = found(lambda boost, at=at: float(boost < at))  # type: ignore[misc]
        assert not inside.hit_bound and inside.boost == pytest.approx(at, abs=0.01)


@pytest.mark.parametrize("score", [-0.01, 1.01, 30.0, math.nan, math.inf])
def test_what_is_no_mean_score_is_refused_and_not_learnt(score: float) -> None:
    told = Bisection(SEARCH)
    with pytest.raises(InputError, match="score: expected a mean in"):
        told.tell(score)
    assert told.found() == Bisection(SEARCH).found()


@pytest.mark.parametrize(
    "impossible",
    [
        lambda: replace(SEARCH, low=10.0),
        lambda: replace(SEARCH, high=math.inf),
        lambda: replace(SEARCH, mean=math.nan),
        lambda: replace(SEARCH, sd=0.0),
        lambda: replace(SEARCH, target=0.0),
        lambda: replace(SEARCH, target=30.0),
        lambda: replace(SEARCH, queries=0),
    ],
)
def test_a_search_that_cannot_be_is_refused(impossible: Callable[[], Search]) -> None:
    with pytest.raises(InputError, match="low < high"):
        impossible()
