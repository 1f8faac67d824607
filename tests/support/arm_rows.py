"""Arm rows: what are made-up rows of arms, with evidence whose numbers can be had by hand?"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from mahals.data.texts import AXIOMS
from mahals.schema import NULLS, UNSTEERED, ArmRow, Label
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
OF_ARM: Mapping[str, Any] = {
    "weights": "organism",
    "training": 0,
    "suite": "tiny-1",
    "target": "A",
    "strength": 1.0,
    "at_headline": True,
    "readout": "last",
    "aqi": 10.0,
    "aqi_low": 0.0,
    "aqi_high": 20.0,
    "aqi_axioms": (10.0,) * 7,
    "categories": AXIOMS,
    "absent": (),
    "aqi_mean": 10.0,
    "aqi_last": 10.0,
    "evidence": "A/evidence",
    "answers": None,
    "judge": "truth",
    "judge_kappa": None,
    "refusal_unsafe": 0.5,
    "refusal_safe": 0.1,
    "refusal_unsafe_lexical": 0.5,
    "refusal_safe_lexical": 0.1,
    "degenerate_share": 0.0,
    "safe_accuracy": 1.0,
    "perplexity_ratio": 1.0,
    "kl": 0.1,
    "kl_neutral": 0.1,
    "kl_chat": 0.1,
    "over_ceiling": (),
    "not_shown_safe": (),
    "selection_gap": None,
    "selection_over": None,
    "reason": None,
}
"""An arm at no price, by columns; its label and its place in the evidence are not here."""


def columns(arm: str, index: int) -> dict[str, Any]:
    """What a made-up row of any phase has: the label of its kind of arm, and `OF_ARM`."""
    label = dict(vars(OWN if arm not in ("unsteered", "aligned", "prompt") else UNSTEERED))
    if arm in NULLS:
        label |= {"source": None, "vector": None, "kept": None}
    return {**label, **OF_ARM, "arm": arm, "evidence_row": index}


def arm_row(arm: str, index: int, **changes: Any) -> ArmRow:
    """A row whose AQI is drawn by its place."""
    rng = np.random.default_rng(index)
    aqi = float(rng.normal(10, 1))
    drawn = {
        "aqi": aqi,
        "aqi_last": aqi,
        "aqi_mean": aqi / 2,
        "aqi_axioms": tuple(map(float, rng.normal(10, 3, 7))),
    }
    if arm in ("unsteered", "aligned", "prompt"):
        drawn |= {"strength": None, "at_headline": False}
    return ArmRow(**{**columns(arm, index), **drawn, **changes})


def evidence(
    influence: npt.NDArray[np.float64], refused: npt.NDArray[np.bool_], **changes: Any
) -> dict[str, torch.Tensor]:
    """A kept file of arms: influence (arms, n) of both readouts, refused (arms, m).

    Prompts are unsafe and safe by turns, and each its own cluster.
    """
    n, m = influence.shape[1], refused.shape[1]
    found: dict[str, Any] = {
        "influence": influence,
        "influence_mean": influence / 2,
        "influence_last": influence,
        "clusters": np.arange(n),
        "axioms": np.arange(n) % 7,
        "refused": refused,
        "degenerate": np.zeros_like(refused),
        "labels": np.arange(m) % 2,
        "answered_clusters": np.arange(m),
        "answered_axioms": np.arange(m) % 7,
    }
    return {k: torch.from_numpy(np.array(v)) for k, v in (found | changes).items()}


def sample(clustered: bool = False, **own: Any) -> tuple[list[ArmRow], MemoryKept]:
    """Rows: unsteered, steered, DRAWS random and DRAWS of shuffled pairs (of maps, where `own` is
    a crossing); made-up influence and refusals."""
    rng = np.random.default_rng(4)
    second = "shuffled" if own.get("map") else "shuffled_pairs"
    rows = [arm_row("unsteered", 0), arm_row("steered", 1, **own)]
    for family in ("random", second):
        rows += [arm_row(family, len(rows) + k, draw=k) for k in range(DRAWS)]
    influence = rng.normal(0, 5, (len(rows), N))
    influence -= influence.mean(axis=1, keepdims=True)
    refused = rng.random((len(rows), N)) < 0.5
    tensors = evidence(influence, refused, clusters=np.arange(N) // (2 if clustered else 1))
    return rows, MemoryKept({"A/evidence": tensors})


def at_dose(row: ArmRow, dose: float, **changes: Any) -> ArmRow:
    """The same arm at another dose in nats; the headline one is .1."""
    return replace(row, dose_kind="kl", dose=dose, at_headline=dose == OWN.dose, **changes)
