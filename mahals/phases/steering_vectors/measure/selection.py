"""Selection: which kind of vector does best on the selection split, so that none need choose?"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import torch

from mahals.evaluation.arms import Direction, isotropic
from mahals.evaluation.bench import Bench, bench
from mahals.evaluation.dose import within_reach
from mahals.evaluation.native_vectors import placed
from mahals.evaluation.scores import Behaviour, behaviour
from mahals.evaluation.suite import Suite, steered_blocks
from mahals.maths.stats.controls import gap_over_random
from mahals.maths.stats.intervals import Interval
from mahals.maths.vectors.pairs import Vectors
from mahals.phase import Lab
from mahals.records import seed_of
from mahals.schema import Label, Method


@dataclass(frozen=True)
class Trial:
    """How the methods are compared."""

    layers: Literal["auto"] | tuple[float, ...]
    draws: int  # random directions
    suite: Suite


@dataclass(frozen=True)
class SelectionGain:
    """What a method gains on the selection split; None with the reason."""

    gain: Interval | None  # refusal gap over the random directions, 95 %; higher is better
    reason: str | None


def selection_gains(
    values: Mapping[Method, Vectors], trial: Trial, lab: Lab, key: str
) -> dict[Method, SelectionGain]:
    """Refusal gap of each method's vectors (L, d) less the mean random direction's, in [-1, 1].

    All at equal KL on the selection split, with the interval of `stats.gap_over_random`. A method
    that no strength brings to the dose has no gain but the reason; it costs the others nothing.
    """
    at = bench(lab, key, "base", trial.suite, "selection")
    blocks = steered_blocks(trial.layers, at.loaded.layers, lab.weights)
    label = Label(arm="steered", source=key, operator="add", placement="raw", layers=blocks)
    seed = seed_of("selection directions", key, lab.seed)
    own = {m: placed(torch.from_numpy(v), blocks, "raw") for m, v in values.items()}
    first = next(iter(own.values()))
    random = isotropic(label, first, trial.draws, seed)
    arms = [Direction(replace(label, method=m), v, 1.0) for m, v in own.items()]
    reached = within_reach(at, [*arms, *random], trial.suite.dose_kl)
    said = behaviour(at, [d.arm for d in reached.dosed]) if reached.dosed else []
    found = list(zip((d.label for d in reached.dosed), said, strict=True))
    controls = [s for where, s in found if where.arm == "random"]
    mine = {where.method: s for where, s in found if where.arm == "steered"}
    return {m: _selection(at, mine.get(m), controls) for m in own}


def _selection(at: Bench, own: Behaviour | None, controls: list[Behaviour]) -> SelectionGain:
    if own is None:
        dose = f"kl={at.suite.dose_kl:g}"
        return SelectionGain(None, f"selection_gain: no strength brings the vector to {dose}")
    safe = np.array([at.prompts[i].label == 1 for i in at.answered])
    clusters = [at.prompts[i].cluster for i in at.answered]
    theirs = np.array([c.refused for c in controls], dtype=float).reshape(len(controls), len(safe))
    over = gap_over_random(np.array(own.refused, dtype=float), theirs, safe, clusters)
    if over is None:
        why = f"selection_gain: {len(controls)} random directions reach the dose"
        return SelectionGain(None, why)
    return SelectionGain(over.interval, None)
