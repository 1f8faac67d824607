"""Swept rows: what does a made-up row of a sweep hold?"""

from __future__ import annotations

from typing import Any

import numpy as np

from mahals.phases.same_arch.rows import Row
from mahals.reporting.evidence import ArmEvidence
from tests.support.arm_rows import columns


def swept(arm: str, index: int, **changes: Any) -> Row:
    """A row of a sweep, made up, on a lambda grid."""
    values = columns(arm, index) | {"evidence": "A/e"}
    if values["operator"] is not None:
        values |= {"dose_kind": "lambda", "dose": 0.0}
    values |= {
        "cosine": None, "left_out": None, "same_block": 0.0, "propensity_unsafe": None,
        "propensity_safe": None, "effects": None, "missed": (),
    }  # fmt: skip
    return Row(**{**values, **changes})


def agent(target: str, aqi: float, refusals: list[int], seed: int = 0) -> ArmEvidence:
    rng = np.random.default_rng(seed)
    influence = rng.normal(0, 5, 28)
    n = len(refusals)
    return ArmEvidence(
        row=swept("unsteered", 0, target=target, aqi_axioms=tuple(aqi + i for i in range(7))),
        influence=influence - influence.mean(),
        influence_mean=influence - influence.mean(),
        influence_last=influence - influence.mean(),
        axioms=np.arange(28) % 7,
        clusters=[str(i) for i in range(28)],
        gap=0.0,
        gap_clusters=[str(i) for i in range(n)],
        refused=np.array(refusals, dtype=bool),
        degenerate=np.zeros(n, dtype=bool),
        safe=np.arange(n) % 2 == 1,
        answered_axioms=np.arange(n) % 7,
    )
