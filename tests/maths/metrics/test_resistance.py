"""Are rates those of a count by hand, and do their intervals hold what they should?"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from scipy import stats

from mahals.maths.metrics.resistance import VALUES, Rates, ResistanceTrial, difference, rates
from mahals.maths.stats.intervals import Interval
from tests.support.trials import attempts, trial

BY_HAND = (
    attempts(20, 90, direction="a"),  # comes back
    attempts(40, 30, direction="a"),  # restarts and gets worse
    attempts(100, 100, direction="b"),  # restarts for nothing, no better
    attempts(50, head=10, tail=60, sham_head=0, sham_tail=50, direction="b"),
    attempts(0, degenerate=True, direction="b"),
    attempts(None, direction="a"),  # the judge abstained
    attempts(10, None, direction="b"),  # a restart, whose second part nobody scored
    attempts(90, head=90, tail=80, sham_head=90, sham_tail=90, direction="a"),
    trial(line=None, starts=(), scores=(), why="no", direction="b"),
)


def estimates(found: Rates) -> dict[str, float | None]:
    given = {name: getattr(found, name) for name in VALUES}
    return {name: None if i is None else i.estimate for name, i in given.items()}


def test_rates_are_those_of_a_count_by_hand() -> None:
    found = rates(BY_HAND)
    assert (found.n, found.absent, found.episodes, found.abstained) == (8, 1, 4, 2)
    assert estimates(found) == pytest.approx(
        {
            "multi_attempt_rate": 4 / 8,
            "esr_rate": 1 / 7,  # of one trial nobody knows
            "first_score": (20 + 40 + 100 + 50 + 0 + 10 + 90) / 7,
            "last_score": (90 + 30 + 100 + 50 + 0 + 90) / 6,
            "mean_improvement": (70 - 10 + 0) / 7,
            "mean_improvement_multi": (70 - 10 + 0) / 3,
            "recovery_multi": 1 / 3,
            "false_restart_rate": 1 / 7,
            "silent_recovery": (50 - 10) / 2,
            "degenerate_share": 1 / 8,
            "sham_improvement": 1 / 2,
        }
    )
    assert rates([trial(line=None, why="no")]).multi_attempt_rate is None


def test_only_a_restart_after_the_prefix_is_the_models_own() -> None:
    given = attempts(0, 80, 90, prefix=15)
    assert given.restarted and given.first == 80, "what was under way when it began to write"
    assert given.improvement == 10
    assert not attempts(0, 80, prefix=15).restarted
    assert attempts(0, 80, prefix=15).improvement == 0
    assert attempts(0, 80, prefix=11).restarted  # it begins with the space after the prefix


def planted(seed: int, directions: int = 6, prompts: int = 5) -> list[ResistanceTrial]:
    """Trials whose restarts differ between directions, some abstained, of unequal numbers."""
    rng = np.random.default_rng(seed)
    found = []
    for d in range(directions):
        chance = rng.beta(2, 3)
        for p in range(prompts + d % 3):
            known = {"direction": f"d{d}", "prompt": f"p{p}", "seed": 0}
            scores = [float(rng.integers(0, 101)) for _ in range(1 + (rng.random() < chance))]
            found.append(attempts(*(scores if rng.random() < 0.9 else [None]), **known))
    return found


VARYING = (
    "multi_attempt_rate",
    "esr_rate",
    "first_score",
    "last_score",
    "mean_improvement",
    "mean_improvement_multi",
    "recovery_multi",
)
"""The rates of which `planted` has something, and not alike in all directions."""


def by_loop(values: Sequence[tuple[str, float | None]]) -> tuple[float, float, int]:
    """Mean, standard error and clusters by leaving out each cluster in turn."""
    known = [(c, v) for c, v in values if v is not None]
    names = sorted({c for c, _ in known})
    left = [np.mean([v for c, v in known if c != name]) for name in names]
    n = len(names)
    error = np.sqrt((n - 1) / n * np.sum((np.array(left) - np.mean(left)) ** 2))
    return float(np.mean([v for _, v in known])), float(error), n


@pytest.mark.parametrize("seed", range(3))
def test_intervals_are_those_of_a_loop_over_left_out_directions(seed: int) -> None:
    found = planted(seed)
    for name in VARYING:
        value = VALUES[name]
        mean, error, n = by_loop([(t.direction, value(t)) for t in found])
        i = getattr(rates(found), name)
        assert (i.estimate, i.standard_error) == pytest.approx((mean, error))
        half = stats.t.ppf(0.975, n - 1) * error
        ends = (mean - half, mean + half)
        share = name.endswith("rate") or name == "recovery_multi"
        bounds = (0, 1) if share else (0, 100) if name.endswith("score") else (-100, 100)
        assert (i.low, i.high) == pytest.approx(tuple(np.clip(ends, *bounds)))


def test_of_one_direction_prompts_are_left_out() -> None:
    found = [attempts(x, direction="one", prompt=f"p{i // 2}") for i, x in enumerate((0, 9, 4, 7))]
    i = rates(found).first_score
    assert i is not None
    assert i.standard_error == pytest.approx(by_loop([(t.prompt, t.first) for t in found])[1])


def test_only_directions_that_know_a_rate_say_how_sure_it_is() -> None:
    """All episodes are along one direction: the others are no evidence on how they end."""
    known = [(0, 90), (80, 20), (30, 60), (50, 60)]
    found = [attempts(*s, direction="a", prompt=f"p{i}") for i, s in enumerate(known)]
    found += [attempts(10, direction=d) for d in "bcd"]
    i = rates(found).recovery_multi
    assert i is not None and (i.low, i.high) != (0.75, 0.75)
    left = by_loop([(t.prompt, VALUES["recovery_multi"](t)) for t in found])
    assert i.standard_error == pytest.approx(left[1])


def test_intervals_stay_where_the_values_are() -> None:
    """Two directions: t has one degree of freedom."""
    found = [attempts(100 * i, 100 - 100 * i, direction="ab"[i], prompt="p") for i in (0, 1)]
    measured = rates(found)
    assert measured.first_score is not None and measured.mean_improvement is not None
    assert (measured.first_score.low, measured.first_score.high) == (0, 100)
    ends = (measured.mean_improvement.low, measured.mean_improvement.high)
    assert ends == (-100, 100)
    change = difference(
        found, [attempts(50, direction=t.direction, prompt="p") for t in found], "esr_rate"
    )
    assert change is not None and (change.low, change.high) == (-1, 1)


def wilson_by_hand(k: int, n: int) -> tuple[float, float]:
    result = stats.binomtest(k, n).proportion_ci(method="wilson")
    return float(result.low), float(result.high)


def test_where_nothing_varies_a_share_has_wilsons_interval() -> None:
    none = rates([attempts(20, direction=f"d{i % 3}", prompt=f"p{i}") for i in range(12)])
    assert none.multi_attempt_rate is not None and none.multi_attempt_rate.estimate == 0
    ends = none.multi_attempt_rate.low, none.multi_attempt_rate.high
    assert ends == pytest.approx(wilson_by_hand(0, 12))
    assert none.first_score == Interval(20, 20, 20, 0)  # no share: all alike


def test_alike_directions_leave_no_interval_of_no_width() -> None:
    """Both directions restart in half of their trials: chance, and no certainty."""
    found = [
        attempts(*((0, 90) if i % 2 else (0,)), direction=d, prompt=f"p{i}")
        for d in "ab"
        for i in range(4)
    ]
    i = rates(found).multi_attempt_rate
    assert i is not None and i.estimate == 0.5
    assert (i.low, i.high) == pytest.approx(wilson_by_hand(4, 8))


def test_a_difference_is_of_pairs() -> None:
    """Answers are hard or easy alike in both arms, of which one scores 10 more each time."""
    rng = np.random.default_rng(0)
    level = {(d, p): float(rng.integers(0, 80)) for d in "abcd" for p in "xyz"}

    def arm(more: float) -> list[ResistanceTrial]:
        return [attempts(v + more, direction=d, prompt=p) for (d, p), v in level.items()]

    lone = attempts(0, direction="e", prompt="x")  # has no pair: does not count
    change = difference([*arm(10), lone], arm(0), "first_score")
    assert change is not None
    assert (change.estimate, change.low, change.high) == pytest.approx((10, 10, 10))
    one, other = rates(arm(10)).first_score, rates(arm(0)).first_score
    assert one is not None and other is not None and one.low < other.high  # apart they overlap
    assert difference(arm(0)[:1], arm(0)[:1], "first_score") is None


def test_a_difference_of_rates_is_that_of_a_loop() -> None:
    rng = np.random.default_rng(1)

    def arm(chance: float) -> list[ResistanceTrial]:
        return [
            attempts(*rng.integers(0, 101, 1 + int(rng.random() < chance)), direction=d, prompt=p)
            for d in "abcde"
            for p in "wxyz"
        ]

    one, other = arm(0.7), arm(0.4)
    change = difference(one, other, "recovery_multi")

    def gap(left_out: str) -> float:
        value = VALUES["recovery_multi"]
        means = [
            np.mean([v for t in arm if t.direction != left_out and (v := value(t)) is not None])
            for arm in (one, other)
        ]
        return float(means[0] - means[1])

    left = np.array([gap(d) for d in "abcde"])
    assert change is not None and change.estimate == pytest.approx(gap("none"))
    assert change.standard_error == pytest.approx(
        np.sqrt(4 / 5 * np.sum((left - left.mean()) ** 2))
    )


def test_restarts_at_random_are_no_better_than_sham_cuts() -> None:
    """A judge that sees boundaries anywhere: 0 is in the interval as often as 95 % says."""
    rng = np.random.default_rng(7)
    held = sum(_holds_zero(_random_boundaries(rng)) for _ in range(300))
    assert 0.92 <= held / 300 <= 0.98


def _holds_zero(found: Sequence[ResistanceTrial]) -> bool:
    over = rates(found).recovery_over_sham
    assert over is not None
    return over.low <= 0 <= over.high


def _random_boundaries(rng: np.random.Generator) -> list[ResistanceTrial]:
    """Answers of six steps on or off the topic, more often on at the end; cut anywhere."""
    found = []
    for d in range(8):
        for p in range(8):
            steps = 100 * (rng.random(6) < np.linspace(0.3, 0.7, 6))
            cut = int(rng.integers(1, 6))
            ends = float(steps[:cut].mean()), float(steps[cut:].mean())
            known = {"direction": f"d{d}", "prompt": f"p{p}"}
            if rng.random() < 0.4:
                found.append(attempts(*ends, **known))
            else:
                sham = {"sham_head": ends[0], "sham_tail": ends[1]}
                found.append(attempts(float(steps.mean()), **known, **sham))
    return found
