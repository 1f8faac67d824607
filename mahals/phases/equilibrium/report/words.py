"""Words: how are the numbers of games written, as metrics and in sentences with intervals?"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from mahals.maths.stats.intervals import Interval


@dataclass(frozen=True)
class Said:
    """Numbers and sentences."""

    metrics: Mapping[str, float]
    lines: tuple[str, ...]


def three(name: str, found: Interval) -> dict[str, float]:
    """The metrics of an estimate and both ends of its interval."""
    return {name: found.estimate, f"{name}_low": found.low, f"{name}_high": found.high}


def shown(found: Interval) -> str:
    """A share with its interval."""
    return f"{found.estimate:.2f} [{found.low:.2f}, {found.high:.2f}]"


def signed(found: Interval) -> str:
    """A difference of payoffs with its interval."""
    return f"{found.estimate:+.4f} [{found.low:+.4f}, {found.high:+.4f}]"
