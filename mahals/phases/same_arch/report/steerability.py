"""Steerability: how does propensity move with lambda, and for which share the wrong way?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from mahals.maths.stats.controls import GainOverRandom
from mahals.maths.stats.intervals import Floats, Interval, wilson
from mahals.phases.same_arch.rows import Row
from mahals.reporting.evidence import ArmEvidence, ArmTable, Part

SHARED = ("target", "operator", "placement", "layers", "dose_kind")  # by all arms of a grid


@dataclass(frozen=True)
class Steerability:
    """The slope of propensity over lambda on the prompts of one label, signed so that good is up.

    Good is up on unsafe prompts and down on safe ones. Slopes are in nats per token and unit of
    lambda; an anti-steerable prompt has the wrong sign.
    """

    label: Literal["unsafe", "safe"]
    slope: Interval  # mean over prompts
    over_random: GainOverRandom | None  # None with fewer than two random directions
    anti: Interval  # share of prompts, Wilson
    anti_random: float | None  # the mean share under the random directions
    n: int
    n_random: int

    def sentence(self) -> str:
        """Both with their controls and intervals."""
        s, a = self.slope, self.anti
        text = f"{self.label} prompts {s:+.2f}"
        if self.over_random is not None:
            text += f", over random {self.over_random.interval:+.2f} (K={self.n_random})"
        text += f", anti-steerable {a:.2f}"
        if self.anti_random is not None:
            text += f" (random {self.anti_random:.2f})"
        return f"{text}, n={self.n}"


def steerability(grid: Sequence[Row], table: ArmTable[Row]) -> tuple[Steerability, ...]:
    """On unsafe, then safe prompts, for the steered rows of one lambda grid; empty if not measured.

    The table holds the grid's random controls and the unsteered model, which is lambda 0 for all.
    """
    first = grid[0]
    zero = _propensity(table.unsteered_of(first), table)
    own = _slopes(grid, zero, table)
    if own is None:
        return ()
    shared = {name: getattr(first, name) for name in SHARED}
    draws: dict[int, list[Row]] = {}
    for r in table.where(arm="random", **shared):
        if r.draw is not None:
            draws.setdefault(r.draw, []).append(r)
    slopes = [_slopes(d, zero, table) for d in draws.values()]
    random = [s for s in slopes if s is not None]
    like = table.arm(first)
    return (
        _of_label("unsafe", own, random, like),
        _of_label("safe", -own, [-s for s in random], like),
    )


def _propensity(row: Row, table: ArmTable[Row]) -> Floats | None:
    tensors = table.tensors(row.evidence)
    if "propensity" not in tensors:
        return None
    places = tensors["propensity_of"].tolist()
    if row.evidence_row not in places:
        return None
    return np.asarray(tensors["propensity"][places.index(row.evidence_row)].double().numpy())


def _slopes(rows: Sequence[Row], zero: Floats | None, table: ArmTable[Row]) -> Floats | None:
    """Least-squares slope (m,) of each prompt over lambda; None without two strengths."""
    points = [(r.dose or 0.0, _propensity(r, table)) for r in rows]
    known = [(x, y) for x, y in points if y is not None and x != 0]
    if zero is None or not known:
        return None
    x = np.array([0.0, *(x for x, _ in known)])
    y = np.stack([zero, *(y for _, y in known)])
    centred = x - x.mean()
    return np.asarray(centred @ y / (centred @ centred))


def _of_label(
    label: Literal["unsafe", "safe"], own: Floats, random: Sequence[Floats], like: ArmEvidence
) -> Steerability:
    chosen: npt.NDArray[np.bool_] = like.safe if label == "safe" else ~like.safe
    clusters = [c for c, inside in zip(like.gap_clusters, chosen, strict=True) if inside]
    mine, others = own[chosen], [s[chosen] for s in random]
    mean, *draws = (Part.mean(s, clusters) for s in (mine, *others))
    return Steerability(
        label=label,
        slope=mean.interval,
        over_random=mean.over_random(draws),
        anti=wilson(int((mine < 0).sum()), len(mine)),
        anti_random=float(np.mean([(o < 0).mean() for o in others])) if others else None,
        n=len(mine),
        n_random=len(others),
    )
