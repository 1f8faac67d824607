"""Steerability: how does propensity move with lambda, and for which share the wrong way?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from mahals.maths.stats.controls import GainOverRandom, over_random
from mahals.maths.stats.intervals import Interval, jackknife_interval, wilson
from mahals.phase import Kept
from mahals.phases.same_arch.rows import Row
from mahals.reporting.evidence import ArmEvidence, Array, load
from mahals.schema import ArmRow


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
            o = self.over_random.interval
            text += f", over random {o:+.2f}"
            text += f" (K={self.n_random})"
        text += f", anti-steerable {a:.2f}"
        if self.anti_random is not None:
            text += f" (random {self.anti_random:.2f})"
        return f"{text}, n={self.n}"


def steerability(
    grid: Sequence[Row], rows: Sequence[ArmRow], kept: Kept
) -> tuple[Steerability, ...]:
    """On unsafe, then safe prompts, for the steered rows of one lambda grid; empty if not measured.

    `rows` hold the grid's random controls and the unsteered model, which is lambda 0 for all.
    """
    first = grid[0]
    base = next(r for r in rows if r.arm == "unsteered" and r.target == first.target)
    zero = _propensity(base, kept)
    own = _slopes([(r.dose or 0.0, _propensity(r, kept)) for r in grid], zero)
    if own is None:
        return ()
    draws: dict[int, list[ArmRow]] = {}
    for r in rows:
        if r.arm == "random" and r.draw is not None and _same_grid(r, first):
            draws.setdefault(r.draw, []).append(r)
    random = [
        _slopes([(r.dose or 0.0, _propensity(r, kept)) for r in d], zero) for d in draws.values()
    ]
    there = [slopes for slopes in random if slopes is not None]
    (like,) = load([first], kept)
    return (
        _of_label("unsafe", own, there, like),
        _of_label("safe", -own, [-s for s in there], like),
    )


def _same_grid(row: ArmRow, grid: ArmRow) -> bool:
    names = ("target", "operator", "placement", "layers", "dose_kind")
    return all(getattr(row, n) == getattr(grid, n) for n in names)


def _propensity(row: ArmRow, kept: Kept) -> Array | None:
    found = kept.tensors(row.evidence)
    if "propensity" not in found:
        return None
    places = found["propensity_of"].tolist()
    if row.evidence_row not in places:
        return None
    return np.asarray(found["propensity"][places.index(row.evidence_row)].double().numpy())


def _slopes(points: Sequence[tuple[float, Array | None]], zero: Array | None) -> Array | None:
    """Least-squares slope (m,) of each prompt over lambda; None without two strengths."""
    known = [(x, y) for x, y in points if y is not None and x != 0]
    if zero is None or not known:
        return None
    x = np.array([0.0, *(x for x, _ in known)])
    y = np.stack([zero, *(y for _, y in known)])
    centred = x - x.mean()
    return np.asarray(centred @ y / (centred @ centred))


def _of_label(
    label: Literal["unsafe", "safe"], own: Array, random: Sequence[Array], like: ArmEvidence
) -> Steerability:
    chosen: npt.NDArray[np.bool_] = like.safe if label == "safe" else ~like.safe
    clusters = [c for c, inside in zip(like.gap_clusters, chosen, strict=True) if inside]
    mine, others = own[chosen], [s[chosen] for s in random]
    mean = float(mine.mean())
    return Steerability(
        label=label,
        slope=jackknife_interval(mine - mean, mean, clusters),
        over_random=over_random(
            mean, mine - mean, [(float(o.mean()), o - o.mean()) for o in others], clusters
        ),
        anti=wilson(int((mine < 0).sum()), len(mine)),
        anti_random=float(np.mean([(o < 0).mean() for o in others])) if others else None,
        n=len(mine),
        n_random=len(others),
    )
