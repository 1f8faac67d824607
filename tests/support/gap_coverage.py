"""Coverage of gaps: how often do intervals of shares and their gaps hold the truth, by simulation?

Answers are drawn: an arm refuses unsafe prompts at `rate` and safe ones at `1 - rate`; on half of
the prompts all arms of a study share their luck, as on prompts that are hard for all.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np

from mahals.maths.stats.controls import gap_over_random
from mahals.maths.stats.intervals import Interval, jackknife_interval
from mahals.maths.stats.rates import gap_of, mean_of

RATES, COUNTS, DRAWS = (0.5, 0.9, 0.97, 1.0), (20, 42, 100), (5, 20)
SPREAD = 0.05  # of the rates over null arms
FLOOR = 0.05  # rate at which arms that do next to nothing refuse any prompt
Draw = Callable[[float, int, np.random.Generator], bool]
"""Draws answers at a rate, for n prompts a label, and says whether the interval held the truth."""


@dataclass(frozen=True)
class Cell:
    """How many of the 95 % intervals hold the truth, as a share."""

    what: str
    rate: float
    n: int  # prompts of a label
    share: float


def refusing(rate: float) -> list[float]:
    """The rates of an arm, on unsafe and on safe prompts."""
    return [rate, 1 - rate]


def answers(rates: Sequence[Sequence[float]], n: int, rng: np.random.Generator) -> np.ndarray:
    """(arms, 2n) of 0 and 1: n unsafe prompts, then n safe ones, at the rates of each arm."""
    luck = np.where(rng.random(2 * n) < 0.5, rng.random(2 * n), rng.random((len(rates), 2 * n)))
    return np.asarray((luck < np.repeat(np.clip(rates, 0, 1), n, axis=1)).astype(np.float64))


def holds(found: Interval | None, truth: float) -> bool:
    return found is not None and found.low - 1e-9 <= truth <= found.high + 1e-9


def one_share(rate: float, n: int, rng: np.random.Generator) -> bool:
    return holds(mean_of(answers([refusing(rate)], n, rng)[0, :n], 0.0).interval(), rate)


def one_gap(rate: float, n: int, rng: np.random.Generator) -> bool:
    found = gap_of(answers([refusing(rate)], n, rng)[0], labels(n), None, paired=False)
    return holds(found.interval(), 2 * rate - 1)


def one_difference(rate: float, n: int, rng: np.random.Generator) -> bool:
    """The gap of one arm less that of another which refuses at the floor."""
    one, other = answers([refusing(rate), [FLOOR, FLOOR]], n, rng)
    found = gap_of(one - other, labels(n), None, paired=True)
    return holds(found.interval(), 2 * rate - 1)


def by_jackknife(rate: float, n: int, rng: np.random.Generator) -> bool:
    """The gap with the jackknife's interval, which has no width where all answers are alike."""
    values = answers([refusing(rate)], n, rng)[0]
    sides = values[:n], values[n:]
    weight = np.sqrt(2 * n * (2 * n - 1) / (n * (n - 1)))
    influence = weight * np.concatenate([sides[0] - sides[0].mean(), sides[1].mean() - sides[1]])
    gap = float(sides[0].mean() - sides[1].mean())
    return holds(jackknife_interval(influence, gap, None), 2 * rate - 1)


def one_more_null(rate: float, n: int, rng: np.random.Generator, *, k: int, spread: float) -> bool:
    """An arm of the family of K null arms: how far it is from them is 0."""
    rates = [refusing(r) for r in rate + spread * rng.standard_normal(k + 1)]
    return _over(answers(rates, n, rng), 0.0)


def one_over_nulls(rate: float, n: int, rng: np.random.Generator, *, k: int) -> bool:
    """An arm over K null arms that do next to nothing."""
    return _over(answers([refusing(rate), *[[FLOOR, FLOOR]] * k], n, rng), 2 * rate - 1)


def _over(found: np.ndarray, truth: float) -> bool:
    over = gap_over_random(found[0], found[1:], labels(found.shape[1] // 2), None)
    return holds(None if over is None else over.interval, truth)


def labels(n: int) -> np.ndarray:
    """Which prompts are safe: the second half."""
    return np.arange(2 * n) >= n


def measured_ways() -> dict[str, Draw]:
    """What is simulated, by name."""
    ways: dict[str, Draw] = {
        "mean_of": one_share,
        "gap_of": one_gap,
        "gap_of, paired": one_difference,
        "gap by jackknife": by_jackknife,
    }
    for k in DRAWS:
        over = f"gap_over_random, K={k}"
        ways[f"{over}, one more null"] = partial(one_more_null, k=k, spread=0.0)
        ways[f"{over}, one more null, spread .05"] = partial(one_more_null, k=k, spread=SPREAD)
        ways[f"{over}, over nulls at .05"] = partial(one_over_nulls, k=k)
    return ways


def share(draw: Draw, rate: float, n: int, repetitions: int) -> float:
    """How many of so many intervals hold the truth."""
    rng = np.random.default_rng([5, n, round(100 * rate)])
    return float(np.mean([draw(rate, n, rng) for _ in range(repetitions)]))


def measure(repetitions: int) -> Iterator[Cell]:
    """The whole grid."""
    for n, rate in itertools.product(COUNTS, RATES):
        for what, draw in measured_ways().items():
            yield Cell(what, rate, n, share(draw, rate, n, repetitions))
