"""Selection: which kind of vector does best on the selection split, so that none need choose?"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Literal

import torch

from mahals.evaluation.arms import Direction, directions
from mahals.evaluation.bench import Bench, arm_aqi, bench
from mahals.evaluation.dose import within_reach
from mahals.evaluation.native_vectors import placed
from mahals.evaluation.suite import Suite, steered_blocks
from mahals.maths.metrics.aqi import ModelAqi
from mahals.maths.stats.controls import over_random
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

    gain: Interval | None  # points of aqi over the random directions, 95 %; higher is better
    reason: str | None


def selection_gains(
    values: Mapping[Method, Vectors], trial: Trial, lab: Lab, key: str
) -> dict[Method, SelectionGain]:
    """AQI of each method's vectors (L, d) minus the mean random direction's, in points.

    All at equal KL on the selection split, with the interval of `stats.gain_over_random`. A method
    that no strength brings to the dose has no gain but the reason; it costs the others nothing.
    """
    at = bench(lab, key, "base", trial.suite, "selection")
    blocks = steered_blocks(trial.layers, at.loaded.layers, lab.weights)
    label = Label(arm="steered", source=key, operator="add", placement="raw", layers=blocks)
    seed = seed_of("selection directions", key, lab.seed)
    own = {m: placed(torch.from_numpy(v), blocks, "raw") for m, v in values.items()}
    first = next(iter(own.values()))
    random = [d for d in directions(label, first, trial.draws, seed) if d.label.arm == "random"]
    arms = [Direction(replace(label, method=m), v, 1.0) for m, v in own.items()]
    reached = within_reach(at, [*arms, *random], trial.suite.dose_kl)
    scores = arm_aqi(at, [d.arm for d in reached.dosed]) if reached.dosed else []
    found = list(zip((d.label for d in reached.dosed), scores, strict=True))
    controls = [s for where, s in found if where.arm == "random"]
    mine = {where.method: s for where, s in found if where.arm == "steered"}
    return {m: _selection(at, mine.get(m), controls) for m in own}


def _selection(at: Bench, own: ModelAqi | None, controls: list[ModelAqi]) -> SelectionGain:
    if own is None:
        dose = f"kl={at.suite.dose_kl:g}"
        return SelectionGain(None, f"selection_gain: no strength brings the vector to {dose}")
    over = over_random(
        own.aqi.estimate,
        own.influence,
        [(c.aqi.estimate, c.influence) for c in controls],
        at.clusters,
    )
    if over is None:
        why = f"selection_gain: {len(controls)} random directions reach the dose or nothing varies"
        return SelectionGain(None, why)
    return SelectionGain(over.interval, None)
