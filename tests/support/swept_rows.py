"""Swept rows: what does a made-up row of a sweep hold?"""

from __future__ import annotations

from typing import Any

from mahals.phases.same_arch.rows import Row
from mahals.schema import UNSTEERED
from tests.support.arm_rows import OWN


def swept(arm: str, index: int, **changes: Any) -> Row:
    """A row of a sweep, made up."""
    label = dict(vars(OWN)) | {"dose_kind": "lambda", "dose": 0.0}
    if arm in ("unsteered", "aligned", "prompt"):
        label = dict(vars(UNSTEERED))
    values: dict[str, Any] = label | {
        "weights": "organism", "suite": "tiny-1", "target": "A", "arm": arm, "strength": 1.0,
        "aqi": 10.0, "aqi_low": 0.0, "aqi_high": 20.0, "aqi_axioms": (10.0,) * 7,
        "evidence": "A/e", "evidence_row": index, "refusal_unsafe": 0.5, "refusal_safe": 0.1,
        "degenerate_share": 0.0, "safe_accuracy": 1.0, "perplexity_ratio": 1.0, "kl": 0.1,
        "over_ceiling": (), "reason": None, "cosine": None, "left_out": None, "same_block": 0.0,
        "propensity_unsafe": None, "propensity_safe": None, "selection_aqi": None,
        "selection_over": None, "effects": None, "missed": (),
    }  # fmt: skip
    return Row(**{**values, **changes})
