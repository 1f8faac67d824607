"""Probabilistic bisection: at which boost is the mean of a noisy score at its target?

Where the falling score crosses it is a distribution over a grid; each query is made at its median
and moves mass to one side (Waeber, Frazier and Henderson 2013). A score counts as five answers with
Jeffreys' prior on their rate: those that hardly vary settle at 28.5 for 30. Measure there anew.
"""

import math
from dataclasses import dataclass

import numpy as np
from scipy import special

from mahals.records import InputError, Positive

POINTS = 10_000  # of the grid
ANSWERS = 5.0  # that a score counts as
DOUBT = 1e-9  # of the surest score
SLACK = 1e-9  # of half the mass: rounding does not choose the median of a symmetric prior
EDGE = 0.01  # of the grid's width: a median that is nearer to an end is at that end


@dataclass(frozen=True)
class BoostSearch:
    """Where a boost is looked for, and what is believed of it before the first query.

    Raises InputError for an empty range, no sd, no query, or a target outside (0, 100).
    """

    target: float  # of the mean score, in (0, 100)
    low: float
    high: float
    mean: float  # of the Gaussian prior, which is cut to [low, high]
    sd: float
    queries: Positive

    def __post_init__(self) -> None:
        possible = self.low < self.high and self.sd > 0 and 0 < self.target < 100
        if not (possible and self.queries >= 1 and all(map(math.isfinite, vars(self).values()))):
            right = "finite low < high, sd > 0, 0 < target < 100 and at least one query"
            raise InputError("bisection", expected=right, got=str(self), cure="correct it")


class Bisection:
    """A search under way: ask at `boost`, tell the score; told the same, it is the same again.

    boost: the posterior median; hit_bound: it is at an end of the range, the crossing may lie
    outside; sd: of the posterior, what the search believes, not a measured error.
    """

    def __init__(self, search: BoostSearch) -> None:
        self.search = search
        self._grid = np.linspace(search.low, search.high, POINTS)
        self._log_mass = -0.5 * ((self._grid - search.mean) / search.sd) ** 2
        self._settle()

    def _settle(self) -> None:
        mass = np.exp(self._log_mass - self._log_mass.max())
        mass /= mass.sum()
        self._index = int(np.searchsorted(np.cumsum(mass), 0.5 - SLACK))
        self.boost, low, high = (float(self._grid[i]) for i in (self._index, 0, -1))
        self.sd = math.sqrt(mass @ (self._grid - mass @ self._grid) ** 2)
        self.hit_bound = not EDGE < (self.boost - low) / (high - low) < 1 - EDGE

    def tell(self, score: float) -> None:
        """Learn the mean score at `boost`. Raises InputError for one that is not in [0, 100].

        Mass above `boost` is multiplied by how likely a mean above the target is, mass below by 1
        less it: published as a side and how sure it is, or the other side where that is below .5.
        """
        if not 0 <= score <= 100:
            raise InputError(
                "score", expected="a mean in [0, 100]", got=str(score), cure="scale it"
            )
        a, b = 0.5 + ANSWERS * (score / 100), 0.5 + ANSWERS * (1 - score / 100)
        above = np.clip(special.betaincc(a, b, self.search.target / 100), DOUBT, 1 - DOUBT)
        self._log_mass[: self._index + 1] += math.log1p(-above)
        self._log_mass[self._index + 1 :] += math.log(above)
        self._settle()
