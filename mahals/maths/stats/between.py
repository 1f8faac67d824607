"""Between trainings: how far do repetitions of a whole study lie apart, and is one more like them?

An interval over prompts and draws says nothing of another training of the same model. Here each
training gives one number: the interval of their mean is Student's with R - 1 degrees of freedom,
and that of one training more is wider by sqrt(R + 1) (a prediction interval).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from mahals.maths.stats.intervals import Interval, finite, t_interval
from mahals.records import InputError

ROUNDING = 1e-9  # of a number's size: what is nearer is the same number
LOW, HIGH = "_low", "_high"


@dataclass(frozen=True)
class Estimate:
    """A number of one study, with the ends of its own interval where it has one."""

    value: float
    low: float | None
    high: float | None

    @property
    def side(self) -> int:
        """1 if the interval lies above 0, -1 if below; 0 if it holds 0 or there is none."""
        if self.low is None or self.high is None:
            return 0
        return int(self.low > 0) - int(self.high < 0)

    @property
    def has_width(self) -> bool:
        """Whether there is an interval, and a spread that it goes by."""
        return self.low is not None and self.high is not None and self.low < self.high


@dataclass(frozen=True)
class Between:
    """What R trainings say of one number."""

    mean: float
    spread: float  # standard deviation over trainings, R - 1 in its denominator
    trainings: int  # R

    @property
    def varies(self) -> bool:
        """Whether trainings differ: where they do not, there is no spread to go by."""
        return self.spread > ROUNDING * max(1.0, abs(self.mean))

    def interval(self) -> Interval:
        """95 % of the mean over trainings: t, R - 1 degrees of freedom."""
        return t_interval(self.mean, self.spread / self.trainings**0.5, self.trainings - 1)

    def prediction(self) -> Interval:
        """95 % of one more training: t, R - 1 degrees of freedom, s sqrt(1 + 1/R)."""
        error = self.spread * (1 + 1 / self.trainings) ** 0.5
        return t_interval(self.mean, error, self.trainings - 1)

    def beyond(self, value: float) -> float:
        """How far a number lies from the mean, in half widths of the prediction: beyond 1 it is
        outside. Raises InputError where trainings do not differ."""
        if not self.varies:
            raise InputError(
                "numbers of trainings",
                expected="some that differ",
                got=f"{self.mean:g} in all {self.trainings}",
                cure="ask `varies` first",
            )
        return abs(value - self.mean) / (self.prediction().high - self.mean)


def between(values: Sequence[float]) -> Between:
    """Mean and spread of one number a training. Raises InputError for fewer than two."""
    array = finite(values, "numbers of trainings", 1)
    if len(array) < 2:
        raise InputError(
            "numbers of trainings",
            expected="two or more: one training has no spread",
            got=str(len(array)),
            cure="train again with other seeds",
        )
    return Between(float(array.mean()), float(np.std(array, ddof=1)), len(array))


def estimates(metrics: Mapping[str, float]) -> dict[str, Estimate]:
    """Metrics by name, each with its `<name>_low` and `<name>_high` where both are there."""
    ended = {n for n in metrics if n + LOW in metrics and n + HIGH in metrics}
    ends = {n + end for n in ended for end in (LOW, HIGH)}
    return {
        name: Estimate(value, metrics.get(name + LOW), metrics.get(name + HIGH))
        if name in ended
        else Estimate(value, None, None)
        for name, value in metrics.items()
        if name not in ends
    }


def apart(one: Estimate, other: Estimate) -> bool:
    """Whether two estimates differ by more than the 95 % interval of their difference."""
    return beyond(one, other) > 1.0 + ROUNDING


def beyond(one: Estimate, other: Estimate) -> float:
    """The difference of two estimates in half widths of its 95 % interval; beyond 1 it is outside.

    The half width is the root of the sum of both squared, each on the side that faces the other
    (Zou and Donner 2008). Raises InputError where one has no interval.
    """
    if one.value > other.value:
        one, other = other, one
    if one.high is None or other.low is None:
        raise InputError(
            "estimates", expected="an interval of each", got="none", cure="compare those that have"
        )
    facing = max(0.0, one.high - one.value), max(0.0, other.value - other.low)
    far, half = other.value - one.value, float(np.hypot(*facing))
    if far <= ROUNDING * max(1.0, abs(one.value), abs(other.value)):
        return 0.0  # the same number
    return far / half if half > 0 else float("inf")


def held(trainings: Sequence[Estimate]) -> int:
    """In how many trainings the interval lies on that side of 0 where the mean of all is."""
    side = int(np.sign(np.mean([each.value for each in trainings])))
    return sum(each.side == side != 0 for each in trainings)
