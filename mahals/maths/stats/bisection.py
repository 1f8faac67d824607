"""Probabilistic bisection: at which boost is the mean of a noisy score at its target?

The score falls as the boost grows. Where it crosses the target is a distribution over a grid; each
query is made at its median and moves mass to one side (Waeber, Frazier and Henderson 2013). A score
counts as five answers with Jeffreys' prior on their rate: as the mean of fewer it is trusted too
much, and scores that hardly vary settle at .285 for .3. Measure the mean at the boost anew.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy import special

from mahals.maths.stats.intervals import Floats
from mahals.records import InputError

POINTS = 10_000  # of the grid
ANSWERS = 5.0  # that a score counts as
DOUBT = 1e-9  # of the surest score
SLACK = 1e-9  # of half the mass: rounding does not choose the median of a symmetric prior
EDGE = 0.01  # of the grid's width: a median that is nearer to an end is at that end


@dataclass(frozen=True)
class BoostSearch:
    """Where a boost is looked for, and what is believed of it before the first query."""

    low: float
    high: float
    mean: float  # of the Gaussian prior, which is cut to [low, high]
    sd: float
    target: float  # of the mean score, in (0, 1)
    queries: int

    def __post_init__(self) -> None:
        """Raises InputError for an empty range, no sd, no query, or a target outside (0, 1)."""
        numbers = (self.low, self.high, self.mean, self.sd, self.target)
        possible = self.low < self.high and self.sd > 0 and 0 < self.target < 1 <= self.queries
        if not (possible and all(map(math.isfinite, numbers))):
            right = "finite low < high, sd > 0, 0 < target < 1 and at least one query"
            raise InputError("bisection", expected=right, got=str(self), cure="correct it")


@dataclass(frozen=True)
class Tried:
    """One query: a boost, and the mean score of its answers."""

    boost: float
    score: float


@dataclass(frozen=True)
class BoostEstimate:
    """Where the mean score is at the target, as far as the search knows."""

    boost: float  # posterior median
    sd: float  # of the posterior: what the search believes, not a measured error
    tried: tuple[Tried, ...]
    hit_bound: bool  # at an end of the range: the crossing may lie outside it


Search = BoostSearch  # what importers call them; games define classes of these names
Found = BoostEstimate


class Bisection:
    """A search under way: ask at `boost`, tell the score; told the same, it is the same again."""

    def __init__(self, search: BoostSearch) -> None:
        self._search = search
        self._grid = np.linspace(search.low, search.high, POINTS)
        self._log_mass = -0.5 * ((self._grid - search.mean) / search.sd) ** 2
        self._index = _median(self._mass())
        self._tried: tuple[Tried, ...] = ()

    @property
    def boost(self) -> float:
        """The posterior median, where the next query is made."""
        return float(self._grid[self._index])

    def tell(self, score: float) -> None:
        """Learn the mean score at `boost`. Raises InputError for one that is not in [0, 1]."""
        if not 0 <= score <= 1:
            cure = "divide scores of 0 to 100 by 100; leave abstentions out of the mean"
            raise InputError("score", expected="a mean in [0, 1]", got=str(score), cure=cure)
        self._tried += (Tried(self.boost, score),)
        above = _mass_above(score, self._search.target)
        self._log_mass[: self._index + 1] += math.log1p(-above)
        self._log_mass[self._index + 1 :] += math.log(above)
        self._index = _median(self._mass())

    def found(self) -> BoostEstimate:
        """What is believed after the scores told so far."""
        mass, width = self._mass(), self._search.high - self._search.low
        sd = math.sqrt(mass @ (self._grid - mass @ self._grid) ** 2)
        at_end = not EDGE < (self.boost - self._search.low) / width < 1 - EDGE
        return BoostEstimate(self.boost, sd, self._tried, at_end)

    def _mass(self) -> Floats:
        mass = np.exp(self._log_mass - self._log_mass.max())
        return np.asarray(mass / mass.sum())


def bisect(score: Callable[[float], float], search: BoostSearch) -> BoostEstimate:
    """The boost at which `score`, a noisy mean in [0, 1] that falls with the boost, is the target.

    Asks `search.queries` times. Raises InputError for a score outside [0, 1].
    """
    bisection = Bisection(search)
    for _ in range(search.queries):
        bisection.tell(score(bisection.boost))
    return bisection.found()


def _median(mass: Floats) -> int:
    return int(np.searchsorted(np.cumsum(mass), 0.5 - SLACK))


def _mass_above(score: float, target: float) -> float:
    """What the mass above the queried boost is multiplied by; the mass below by 1 less it.

    1 - BetaCDF(target; .5 + 5 s, .5 + 5 (1 - s)), how likely a mean above the target. Published as
    a side and how sure it is, or the other side where that is below .5: the same factors.
    """
    a, b = 0.5 + ANSWERS * score, 0.5 + ANSWERS * (1 - score)
    return float(np.clip(special.betaincc(a, b, target), DOUBT, 1 - DOUBT))
