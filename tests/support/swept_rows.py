"""Swept rows: what does a made-up row of a sweep hold?"""

from __future__ import annotations

from typing import Any

import numpy as np

from mahals.phases.same_arch.rows import Row
from mahals.reporting.evidence import ArmEvidence
from mahals.schema import UNSTEERED
from tests.support.arm_rows import OWN


def swept(arm: str, index: int, **changes: Any) -> Row:
    """A row of a sweep, made up."""
    label = dict(vars(OWN)) | {"dose_kind": "lambda", "dose": 0.0}
    if arm in ("unsteered", "aligned", "prompt"):
        label = dict(vars(UNSTEERED))
    values: dict[str, Any] = label | {
        "weights": "organism", "training": 0, "suite": "tiny-1", "target": "A", "arm": arm,
        "strength": 1.0, "at_headline": True, "readout": "last", "aqi_mean": 10.0,
        "aqi_last": 10.0, "answers": None, "refusal_unsafe_lexical": 0.5,
        "refusal_safe_lexical": 0.1, "kl_neutral": 0.1, "kl_chat": 0.1, "not_shown_safe": (),
        "selection_gap": None, "aqi": 10.0, "aqi_low": 0.0, "aqi_high": 20.0,
        "aqi_axioms": (10.0,) * 7,
        "evidence": "A/e", "evidence_row": index, "refusal_unsafe": 0.5, "refusal_safe": 0.1,
        "degenerate_share": 0.0, "safe_accuracy": 1.0, "perplexity_ratio": 1.0, "kl": 0.1,
        "over_ceiling": (), "reason": None, "cosine": None, "left_out": None, "same_block": 0.0,
        "propensity_unsafe": None, "propensity_safe": None,
        "selection_over": None, "effects": None, "missed": (),
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
