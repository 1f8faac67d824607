"""Intervals: how sure is a mean over conversations, of values, of shares and of changes?"""

from __future__ import annotations

from dataclasses import replace

import numpy.typing as npt

from mahals.maths.stats.intervals import Interval
from mahals.reporting.evidence import Part


def mean_interval(each: npt.ArrayLike) -> Interval:
    """The mean of one value a conversation, with its 95 % jackknife interval over them."""
    return Part.mean(each, None).interval


def share_interval(each: npt.ArrayLike) -> Interval:
    """As mean_interval, of shares: the interval ends at 0 and 1, where a share does."""
    return _within(mean_interval(each), 0.0)


def change_interval(each: npt.ArrayLike) -> Interval:
    """As mean_interval, of differences of two shares: the interval ends at -1 and 1."""
    return _within(mean_interval(each), -1.0)


def _within(whole: Interval, low: float) -> Interval:
    return replace(whole, low=max(low, whole.low), high=min(1.0, whole.high))
