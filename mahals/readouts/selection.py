"""Which kind of vector does best on the selection split, so that evaluation need not choose?"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Literal

import numpy as np
import torch

from mahals.arms.bench import arm_aqi, bench
from mahals.arms.directions import Direction, at_equal_kl, directions, placed
from mahals.arms.kinds import Label, Suite, steered_blocks
from mahals.phase import Lab
from mahals.readouts.pairs import Method
from mahals.records import seed_of
from mahals.vectors import Vectors

DRAWS = 5  # random directions that the methods are compared with


def selection_gains(
    values: Mapping[Method, Vectors],
    layers: Literal["auto"] | tuple[float, ...],
    suite: Suite,
    lab: Lab,
    key: str,
) -> dict[Method, float]:
    """AQI of each method's vectors (L, d) minus the mean random direction's, in points.

    All at equal KL on the selection split; higher is better.
    """
    at = bench(lab, key, "base", suite, "selection")
    blocks = steered_blocks(layers, at.loaded.layers, lab.weights)
    label = Label("steered", None, key, None, None, "add", "raw", blocks, None, None)
    seed = seed_of("selection directions", key, lab.seed)
    own = {m: placed(torch.from_numpy(v), blocks, "raw") for m, v in values.items()}
    first = next(iter(own.values()))
    random = [d for d in directions(label, first, DRAWS, seed) if d.label.draw is not None]
    arms = [Direction(replace(label, method=m), v, 1.0) for m, v in own.items()]
    dosed = at_equal_kl(at, [*arms, *random], suite.dose_kl)
    scores = [s.aqi.estimate for s in arm_aqi(at, [d.arm for d in dosed])]
    mean = float(np.mean(scores[len(arms) :]))
    return {m: s - mean for m, s in zip(own, scores[: len(arms)], strict=True)}
