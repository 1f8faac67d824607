"""Multilinear roots: where in the unit cube are m multilinear functions of m variables all zero?

A multilinear function on a box takes its least and its largest value at corners. So a box whose
corners all lie on one side of zero holds no root, exactly, and so do the slopes say whether a box
holds one root at most. Boxes are split until one or the other is known (branch and prune; the
preconditioned tests are those of interval Newton methods, Neumaier 1990).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from mahals.maths.stats.intervals import Floats

BOXES = 4096  # more boxes at once: a curve or a surface of roots
NARROW = 1e-6  # a box of that width holds roots that touch: below it slopes are rounding
CUT = 0.4871  # where a box is split: symmetric games have their roots in the middle
EDGE = 1e-9  # a root so far outside of its box still belongs to it
ROUNDING = 1e-12


@dataclass(frozen=True, eq=False)
class CubeRoots:
    """The roots in the cube."""

    points: Floats  # (k, m), each in [0, 1]
    complete: bool  # False: there is a continuum, or roots that touch; others may be missing


@dataclass(frozen=True, eq=False)
class _Boxes:
    """Boxes with the functions' values at their corners."""

    low: Floats  # (B, m)
    width: Floats  # (B, m)
    values: Floats  # (B, m, 2, ..., 2)

    def some(self, which: npt.NDArray[np.bool_]) -> _Boxes:
        return _Boxes(self.low[which], self.width[which], self.values[which])


def roots_in_cube(corners: Floats) -> CubeRoots:
    """All roots in [0, 1]^m of m functions from their values (m, 2, ..., 2) at the cube's corners.

    Complete unless roots touch or form a continuum, which is said.
    """
    m = len(corners)
    scale = np.abs(corners).reshape(m, -1).max(axis=1)
    if m == 0 or scale.min() <= 0:
        return CubeRoots(np.empty((0, m)), m == 0)
    unit = corners / scale.reshape(m, *(1,) * m)
    left = _Boxes(np.zeros((1, m)), np.ones((1, m)), unit[None])
    found: list[Floats] = []
    complete = True
    while len(left.low):
        open_, points, sure = _step(left)
        found += points
        complete &= sure
        if len(open_.low) > BOXES:
            complete = False
            break
        left = _split(open_) if len(open_.low) else open_
    return CubeRoots(_distinct(np.array(found).reshape(-1, m)), complete)


def _step(boxes: _Boxes) -> tuple[_Boxes, list[Floats], bool]:
    """The boxes that are still open, the roots found, and whether nothing was given up."""
    boxes = boxes.some(_may_hold(boxes.values))
    if not len(boxes.low):
        return boxes, [], True
    m = boxes.low.shape[1]
    slopes = np.stack([_slope(boxes.values, j) for j in range(m)], axis=2)  # (B, i, j, corners)
    middle = slopes.mean(axis=-1)
    regular = np.linalg.cond(middle) < 1e12
    inverse = np.zeros_like(middle)
    inverse[regular] = np.linalg.inv(middle[regular])
    turned = np.einsum("bik,bk...->bi...", inverse, boxes.values)
    keep = ~regular | _may_hold(turned)
    boxes, slopes = boxes.some(keep), slopes[keep]
    inverse, regular = inverse[keep], regular[keep]
    apart = np.abs(np.einsum("bik,bkjc->bijc", inverse, slopes) - np.eye(m)[:, :, None])
    single = regular & (apart.max(axis=-1).sum(axis=-1).max(axis=-1) < 1)
    points, open_ = [], np.ones(len(single), dtype=np.bool_)
    for b in np.flatnonzero(single):
        at = _newton(boxes.values[b])
        if at is not None and at.min() >= -EDGE and at.max() <= 1 + EDGE:
            points.append(np.clip(boxes.low[b] + at * boxes.width[b], 0.0, 1.0))
            open_[b] = False
    narrow = open_ & (boxes.width.max(axis=1) < NARROW)
    points += list(boxes.low[narrow] + boxes.width[narrow] / 2)
    return boxes.some(open_ & ~narrow), points, not bool(narrow.any())


def _may_hold(values: Floats) -> npt.NDArray[np.bool_]:
    """(B,) whether every function takes both signs, or nearly zero, on the box."""
    flat = values.reshape(*values.shape[:2], 2 ** values.shape[1])
    return np.asarray(
        ((flat.min(axis=-1) <= ROUNDING) & (flat.max(axis=-1) >= -ROUNDING)).all(axis=-1)
    )


def _slope(values: Floats, axis: int) -> Floats:
    """(B, m, corners): the change of every function along one variable, across the box."""
    at = np.moveaxis(values, axis + 2, 2)
    m = values.shape[1]
    return np.asarray((at[:, :, 1] - at[:, :, 0]).reshape(len(values), m, 2 ** (m - 1)))


def _newton(values: Floats) -> Floats | None:
    """The root to which Newton's method leads from the middle, in units of the box."""
    m = len(values)
    at: Floats = np.full(m, 0.5)
    for _ in range(40):
        worth = _at(values, at, None)
        slope = np.stack([_at(values, at, j) for j in range(m)], axis=1)
        try:
            move = np.linalg.solve(slope, worth)
        except np.linalg.LinAlgError:
            return None
        at = np.asarray(at - move)
        if not np.isfinite(at).all() or np.abs(at).max() > 1e3:
            return None
        if np.abs(move).max() < 1e-13:
            return at
    return at if np.abs(move).max() < 1e-9 else None


def _at(values: Floats, point: Floats, along: int | None) -> Floats:
    """(m,): the functions at a point of the box, or their slopes along one variable there."""
    found = values
    for j in reversed(range(len(point))):
        weight = np.array([-1.0, 1.0]) if j == along else np.array([1 - point[j], point[j]])
        found = found @ weight
    return np.asarray(found)


def _split(boxes: _Boxes) -> _Boxes:
    """Every box in two, along the variable along which the functions change most."""
    m = boxes.low.shape[1]
    change = [np.abs(_slope(boxes.values, j)).max(axis=-1).sum(axis=-1) for j in range(m)]
    axes = np.stack(change, axis=1).argmax(axis=1)
    low, width, values = [], [], []
    for j in range(m):
        own = boxes.some(axes == j)
        at = np.moveaxis(own.values, j + 2, 2)
        cut = (1 - CUT) * at[:, :, 0] + CUT * at[:, :, 1]
        for share, start, ends in (
            (CUT, 0.0, (at[:, :, 0], cut)),
            (1 - CUT, CUT, (cut, at[:, :, 1])),
        ):
            step = np.eye(m)[j] * own.width
            low.append(own.low + start * step)
            width.append(own.width - (1 - share) * step)
            values.append(np.moveaxis(np.stack(ends, axis=2), 2, j + 2))
    return _Boxes(np.concatenate(low), np.concatenate(width), np.concatenate(values))


def _distinct(points: Floats) -> Floats:
    """The points without repetitions: one on the edge of several boxes is found in each."""
    kept: list[Floats] = []
    for point in points:
        if all(np.abs(point - other).max() > 10 * NARROW for other in kept):
            kept.append(point)
    return np.array(kept).reshape(-1, points.shape[1])
