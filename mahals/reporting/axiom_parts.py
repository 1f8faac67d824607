"""Axiom parts: what does an arm do to some axioms alone?"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from mahals.maths.stats.intervals import Floats
from mahals.reporting.evidence import ArmEvidence, Part


def part(arm: ArmEvidence, axioms: Sequence[int]) -> Part:
    """The mean aqi of the categories at these places, from the influence on all of them.

    `model_aqi` weighs a prompt's influence on its axiom's aqi by sqrt(N (N-1) / (n (n-1))) / A in
    the mean of A axioms; this weighs it for the mean of the chosen ones, over their prompts.
    """
    return part_of(arm.row.aqi_axioms, arm.influence, arm, axioms)


def part_of(
    values: Sequence[float], influence: Floats, like: ArmEvidence, axioms: Sequence[int]
) -> Part:
    """As `part`, of the aqi of each axiom and the influence (n,) of an arm on `like`'s prompts."""
    rows = np.isin(like.axioms, axioms)
    n, whole = float(rows.sum()), float(len(rows))
    scale = len(values) / len(axioms) * np.sqrt(n * (n - 1) / (whole * (whole - 1)))
    return Part(
        float(np.mean([values[a] for a in axioms])),
        influence[rows] * scale,
        [c for c, inside in zip(like.clusters, rows, strict=True) if inside],
    )
