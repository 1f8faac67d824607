"""Are a sample's rates those of all, and do two judges agree as a count by hand says?"""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import numpy as np
import pytest
from scipy import stats
from sklearn.metrics import cohen_kappa_score

from mahals.maths.metrics.resistance import ResistanceTrial, rates
from mahals.maths.stats.intervals import wilson
from mahals.phases.esr_judges.measure import agreement_of_two, weighed_rates
from mahals.phases.esr_judges.rows import Row
from tests.support.trials import attempts

ROW = partial(Row, "A", "organism", "pair", "truth")
ALL = [
    *(attempts(10 * i, 90, direction="abc"[i % 3], prompt=f"p{i}") for i in range(10)),
    *(attempts(50 + i, direction="abc"[i % 3], prompt=f"q{i}") for i in range(40)),
]


def by_name(trials: list[ResistanceTrial], weights: list[float]) -> dict[str, Row]:
    return {r.quantity: r for r in weighed_rates(ROW, trials, weights)}


def test_with_equal_weights_they_are_the_rates_of_the_trials() -> None:
    found, plain = by_name(ALL, [7.0] * len(ALL)), rates(ALL)
    assert len(found) == 5
    for name, number in found.items():
        i = getattr(plain, name)
        assert number.estimate == pytest.approx(i.estimate), name
        if name in ("first_score", "last_score"):  # clusters of equal weight are as their jackknife
            assert number.low == pytest.approx(i.low, rel=0.05)
    assert found["esr_rate"].n == 50 and found["recovery_multi"].n == 10


def test_a_sample_of_each_kind_weighs_as_much_as_it_stands_for() -> None:
    sample = [*ALL[:10], *ALL[10:40:3]]  # all that restart, a fourth of the others
    found = by_name(sample, [1.0] * 10 + [4.0] * 10)
    assert found["esr_rate"].estimate == pytest.approx(9 / 50)  # the one from 90 does not rise
    others = np.mean([50 + i for i in range(0, 30, 3)])
    assert found["first_score"].estimate == pytest.approx((45 * 10 + others * 40) / 50)
    unweighed = by_name(sample, [1.0] * 20)
    assert unweighed["esr_rate"].estimate == pytest.approx(9 / 20)


def test_the_interval_is_a_jackknife_over_directions_by_hand() -> None:
    weights = [1.0] * 10 + [4.0] * 40
    values = np.array([t.scores[0] for t in ALL], dtype=float)
    mean = np.average(values, weights=weights)
    sums = [
        sum(
            w * (v - mean) for w, v, t in zip(weights, values, ALL, strict=True) if t.direction == d
        )
        for d in "abc"
    ]
    error = np.sqrt(sum(s**2 for s in sums) * 3 / 2) / sum(weights)
    found = by_name(ALL, weights)["first_score"]
    assert found.high == pytest.approx(mean + stats.t.ppf(0.975, 2) * error)


def test_shares_stay_in_bounds_and_one_that_never_varies_has_wilsons_interval() -> None:
    found = by_name([attempts(0, 90, direction=d) for d in "abcd"], [5.0] * 4)
    assert (found["esr_rate"].low, found["esr_rate"].high) == (wilson(4, 4).low, 1)
    few = [attempts(0, 90, direction="a"), *(attempts(0, direction=d) for d in "bcd")]
    assert by_name(few, [1.0] * 4)["esr_rate"].low == 0
    most = [attempts(0, direction="a"), *(attempts(0, 90, direction=d) for d in "bcd")]
    assert by_name(most, [1.0] * 4)["esr_rate"].high == 1
    low = by_name(
        [*(attempts(0, direction=d) for d in "abc"), attempts(9, direction="d")], [1.0] * 4
    )
    assert low["first_score"].low == 0 and low["first_score"].estimate == 9 / 4
    alone = by_name([attempts(1, direction="a")] * 5, [1.0] * 5)
    assert all(r.estimate is None and r.why for r in alone.values()) and "esr_rate" in alone


def two(
    pairs: list[tuple[float | None, float | None]],
) -> tuple[list[ResistanceTrial], list[ResistanceTrial]]:
    """Restarts from 50 to what each judge says, and an answer that does not restart."""
    one, other = (
        [attempts(50, p[k], situation="free" if i % 2 else "first") for i, p in enumerate(pairs)]
        for k in (0, 1)
    )
    return [*one, attempts(50)], [*other, attempts(50)]


PAIRS: list[tuple[float | None, float | None]] = [
    (90, 80), (60, 50), (10, 20), (70, 90), (50, 50), (20, 70), (90, 60), (30, 10), (None, 60),
]  # fmt: skip


def by_two(
    one: list[ResistanceTrial], other: list[ResistanceTrial], weights: list[float] | None = None
) -> dict[str, Row]:
    both = list(zip(one, other, weights or [1.0] * len(one), strict=True))
    return {r.quantity: r for r in agreement_of_two(ROW, both, 4)}


def agreement(pairs: list[tuple[float | None, float | None]]) -> dict[str, Row]:
    return by_two(*two(pairs))


def test_directions_and_verdicts_by_hand() -> None:
    found = agreement(PAIRS)
    assert found["direction"].n == 8 and found["direction"].estimate == 6 / 8
    rises = [(a > 50, b > 50) for a, b in PAIRS if a is not None and b is not None]
    kappa = cohen_kappa_score([a for a, _ in rises], [b for _, b in rises])
    assert found["verdict"].estimate == pytest.approx(kappa) and found["verdict"].low is not None
    assert found["first_scores"].why is not None  # all are 50


def test_first_scores_are_those_that_both_know() -> None:
    rng = np.random.default_rng(0)
    x, y = rng.normal(50, 10, 30), rng.normal(50, 10, 30)
    one = [attempts(None), *(attempts(v) for v in x)]
    other = [attempts(30), *(attempts(v) for v in y)]
    found = by_two(one, other)["first_scores"]
    assert found.n == 30 and found.estimate == pytest.approx(stats.spearmanr(x, y).statistic)


def test_cells_are_ranked_by_each_judge() -> None:
    shares = {
        "free": (0.0, 0.25),
        "first": (0.5, 0.75),
        "passage": (1.0, 0.0),
        "own_text": (0.2, 0),
    }
    one, other = list[ResistanceTrial](), list[ResistanceTrial]()
    for situation, both in shares.items():
        for i in range(3 if situation == "own_text" else 4):  # too few
            for trials, share in zip((one, other), both, strict=True):
                trials.append(attempts(0, 90 if i < 4 * share else 0, situation=situation))
    found = by_two(one, other)["cells"]
    tau = stats.kendalltau([0.0, 0.5, 1.0], [0.25, 0.75, 0.0]).statistic
    assert found.n == 3 and found.estimate == pytest.approx(tau)


def test_a_trial_weighs_in_its_cell_as_much_as_it_stands_for() -> None:
    """One of four comes back in `free`, two in `first`; weighed, `free` comes back more often."""
    one = [
        attempts(0, 90 if i < n else 0, situation=s)
        for s, n in (("free", 1), ("first", 2))
        for i in range(4)
    ]
    other = [replace(t, scores=(0, 90 if t.situation == "free" else 0)) for t in one]
    weights = [9.0, *[1.0] * 7]
    found = by_two(one, other, weights)["cells"]
    assert found.estimate == 1
    plain = by_two(one, other)["cells"]
    assert plain.estimate == -1


def test_where_nothing_is_known_the_reason_stands_there() -> None:
    found = agreement([(None, 10), (20, None)])
    assert all(r.estimate is None and r.why for r in found.values()) and len(found) == 4
    same = agreement([(90, 80)] * 6)
    assert same["direction"].estimate == 1 and same["verdict"].why is not None
    assert same["cells"].why is not None
