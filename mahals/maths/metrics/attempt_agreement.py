"""Attempt agreement: do judges of the same trials see the same answers come back, and how often?"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy.stats import kendalltau

from mahals.maths.metrics.resistance import VALUES, ResistanceTrial, bounded
from mahals.maths.stats.agreement import kappa
from mahals.maths.stats.intervals import Floats, Interval, jackknife_interval, wilson
from mahals.maths.stats.ranks import spearman
from mahals.records import InputError

RATES = ("first_score", "last_score", "esr_rate", "recovery_multi", "false_restart_rate")
COLUMNS = ("subject", "situation", "ablated", "variant", "level")  # trials of a cell are alike


@dataclass(frozen=True)
class JudgeNumber:
    """A number of a judge or of two, with its 95 % interval where it has one."""

    quantity: str
    n: int  # trials, restarts or cells that know it
    estimate: float | None = None
    low: float | None = None
    high: float | None = None
    why: str | None = None  # why there is no number, or no interval


def weighed_rates(
    trials: Sequence[ResistanceTrial], weights: Sequence[float]
) -> Iterator[JudgeNumber]:
    """The rates of all trials that a sample stands for: jackknife over directions, or Wilson's."""
    for name in RATES:
        known = [i for i, t in enumerate(trials) if VALUES[name](t) is not None]
        clusters = [trials[i].direction for i in known]
        if len(set(clusters)) < 2:
            yield JudgeNumber(name, len(known), why="trials of fewer than two directions know it")
            continue
        x = np.array([VALUES[name](trials[i]) for i in known], dtype=np.float64)
        w = np.array(weights)[known]
        mean = float(np.average(x, weights=w))
        found = jackknife_interval(len(x) * w * (x - mean) / w.sum(), mean, clusters)
        yield _number(name, len(x), bounded(name, found, mean, len(x)))


def agreement_of_two(
    one: Sequence[ResistanceTrial],
    two: Sequence[ResistanceTrial],
    weights: Sequence[float],
    least: int,
) -> Iterator[JudgeNumber]:
    """Four numbers of two judges of the same trials, from those that both scored; 1 is best.

    direction: share of restarts in which both see a rise, a fall or neither. verdict: kappa of "it
    comes back". first_scores: Spearman's rho. cells: Kendall's tau-b of the ESR rates of cells of
    `least` trials or more.
    """
    both = list(zip(one, two, strict=True))
    x, y = _known([(a.improvement, b.improvement) for a, b in both if a.restarted]).T
    if len(x) < 2:
        why = "fewer than two restarts that both scored"
        yield from (JudgeNumber(name, len(x), why=why) for name in ("direction", "verdict"))
    else:
        yield _number("direction", len(x), wilson(int((np.sign(x) == np.sign(y)).sum()), len(x)))
        k = kappa(x > 0, y > 0, None)
        yield replace(_number("verdict", len(x), k.interval), estimate=k.kappa, why=k.reason)
    firsts = _known([(a.first, b.first) for a, b in both]).T
    try:
        r = spearman(firsts[0], firsts[1], 0)
        yield JudgeNumber("first_scores", r.n, r.rho, r.low, r.high)
    except InputError as error:
        yield JudgeNumber("first_scores", len(firsts[0]), why=str(error))
    cells: dict[object, list[tuple[float | None, ...]]] = defaultdict(list)
    for (a, b), weight in zip(both, weights, strict=True):
        values = VALUES["esr_rate"](a), VALUES["esr_rate"](b), weight
        cells[tuple(getattr(a, c) for c in COLUMNS)].append(values)
    large = [known for own in cells.values() if len(known := _known(own)) >= least]
    rates = [np.average(own[:, :2], axis=0, weights=own[:, 2]) for own in large]
    tau = kendalltau(*np.array(rates).T).statistic if len(rates) > 1 else np.nan
    missing = "fewer than two cells, or a judge with one rate in all" if np.isnan(tau) else None
    yield JudgeNumber("cells", len(rates), None if missing else float(tau), why=missing)


def _number(quantity: str, n: int, found: Interval | None) -> JudgeNumber:
    ends = (found.estimate, found.low, found.high) if found else ()
    return JudgeNumber(quantity, n, *ends)


def _known(values: Sequence[tuple[float | None, ...]]) -> Floats:
    """(n, 2 or more): those of which all are known."""
    found = [v for v in values if None not in v]
    return np.array(found, dtype=np.float64).reshape(len(found), -1 if found else 2)
