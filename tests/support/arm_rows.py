"""Arm rows: what are made-up rows of arms, with evidence whose numbers can be had by hand?"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import torch

from mahals.schema import UNSTEERED, ArmRow, Label
from tests.support.tiny_lab import MemoryKept

N, DRAWS = 24, 4
OWN = Label(
    arm="steered",
    source="A",
    method="mean_difference",
    operator="add",
    placement="raw",
    layers=(1,),
    dose_kind="kl",
    dose=0.1,
)


def arm_row(arm: str, index: int, **changes: Any) -> ArmRow:
    rng = np.random.default_rng(index)
    values: dict[str, Any] = dict(vars(OWN)) | {
        "weights": "organism",
        "suite": "tiny-1",
        "target": "A",
        "arm": arm,
        "strength": 1.0,
        "aqi": float(rng.normal(10, 1)),
        "aqi_low": 0.0,
        "aqi_high": 20.0,
        "aqi_axioms": tuple(map(float, rng.normal(10, 3, 7))),
        "evidence": "A/evidence",
        "evidence_row": index,
        "refusal_unsafe": 0.5,
        "refusal_safe": 0.1,
        "degenerate_share": 0.0,
        "safe_accuracy": 1.0,
        "perplexity_ratio": 1.0,
        "kl": 0.1,
        "over_ceiling": (),
        "reason": None,
    }
    if arm in ("unsteered", "aligned", "prompt"):
        values |= vars(replace(UNSTEERED, arm=arm))
    if arm == "random":
        values |= {"source": None, "method": None, "vector": None, "kept": None}
    return ArmRow(**{**values, **changes})


def sample(clustered: bool = False, **own: Any) -> tuple[list[ArmRow], MemoryKept]:
    """Rows: unsteered, steered, DRAWS random ones; made-up influence and refusals."""
    rng = np.random.default_rng(4)
    rows = [arm_row("unsteered", 0), arm_row("steered", 1, **own)]
    rows += [arm_row("random", 2 + k, draw=k) for k in range(DRAWS)]
    influence = rng.normal(0, 5, (len(rows), N))
    influence -= influence.mean(axis=1, keepdims=True)
    tensors = {
        "influence": torch.from_numpy(influence),
        "clusters": torch.arange(N) // (2 if clustered else 1),
        "axioms": torch.arange(N) % 7,
        "refused": torch.from_numpy(rng.random((len(rows), N)) < 0.5),
        "labels": torch.arange(N) % 2,
        "answered_clusters": torch.arange(N),
        "answered_axioms": torch.arange(N) % 7,
    }
    return rows, MemoryKept({"A/evidence": tensors})
