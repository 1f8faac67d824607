"""Axiom effects: what does the vector of each axiom do to each axiom, measured?"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from mahals.evaluation.arms import Direction
from mahals.evaluation.bench import Bench
from mahals.evaluation.dose import within_reach
from mahals.evaluation.scores import arm_aqi
from mahals.phase import Lab


def keep_effects(lab: Lab, name: str, at: Bench, found: Sequence[Direction]) -> str | None:
    """Measures and keeps the aqi under each axiom's vector at the suite's dose.

    Gives the reference of the kept file. Tensors: axioms (k,) places in the bench's categories of
    the vectors that reach the dose, aqi (k, C), influence (k, n). None where there are no such
    vectors, or none reaches the dose.
    """
    reached = within_reach(at, found, at.suite.dose_kl)
    if not reached.dosed:
        return None
    scores = arm_aqi(at, [d.arm for d in reached.dosed])
    tensors = {
        "axioms": torch.tensor([d.label.draw for d in reached.dosed]),
        "aqi": torch.tensor([[a.aqi.estimate for a in s.aqi.axioms] for s in scores]).double(),
        "influence": torch.from_numpy(np.stack([s.aqi.influence for s in scores])),
    }
    return lab.keep(f"{name}.safetensors", tensors)
