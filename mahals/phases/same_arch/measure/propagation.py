"""Propagation: what would a gain be if blocks above the steered ones did not answer to it?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from torch import Tensor

from mahals.evaluation.bench import Bench
from mahals.maths.metrics.aqi import ModelAqi, model_aqi
from mahals.maths.metrics.spaces import to_space
from mahals.models.activations.batching import Batch, for_each
from mahals.models.activations.capture import pooled
from mahals.models.steering.interventions import Arm, Intervention
from mahals.models.steering.operators import OPERATORS
from mahals.models.steering.replay import replays
from mahals.models.steering.scope import ALL, FROM, TokenPlaces, places


def same_block_aqi(at: Bench, arms: Sequence[Arm], base: ModelAqi) -> list[ModelAqi]:
    """AQI of each arm with every later block writing exactly what it writes unsteered.

    The residual stream then carries each step's displacement up to the last block as it is. What
    is left of a gain is the geometry of the step itself; the rest of the gain is propagated: what
    later blocks made of it. A constant that is added to every state changes no distance, so an arm
    of `add` alone has `base`, exactly (METHOD 2), in a scope that holds all of a prompt or nothing
    of it. Each step acts on the unsteered state plus the
    displacements below it.
    """
    bent = [i for i, arm in enumerate(arms) if any(_bends(s) for s in arm.active)]
    found = [base] * len(arms)
    if bent:
        moved = _displaced(at, [arms[i] for i in bent]).double().numpy()
        for i, states in zip(bent, moved, strict=True):
            x = to_space(np.asarray(states), at.suite.space)
            found[i] = model_aqi(x, at.labels, at.axioms, at.clusters)
    return found


def _displaced(at: Bench, arms: Sequence[Arm]) -> Tensor:
    """(arms, n, d): pooled last-block states with each arm's displacements carried up."""
    last = at.loaded.layers - 1
    wanted = {s.block for arm in arms for s in arm.active} | {last}
    found = torch.empty(len(arms), len(at.encoded), at.loaded.width)

    def read(batch: Batch) -> None:
        states = _unsteered(at, batch, last, wanted)
        rows = torch.tensor(batch.rows)
        for i, arm in enumerate(arms):
            carried = states[last] + _carried(arm, states, places(batch))
            found[i, rows] = pooled(carried, batch, at.readout).cpu()

    for_each(at.loaded, at.encoded, read)
    return found


def _unsteered(at: Bench, batch: Batch, last: int, wanted: set[int]) -> dict[int, Tensor]:
    """The (b, t, d) states after each wanted block."""
    states: dict[int, Tensor] = {}

    def read(arm: int | None, block: int, found: Tensor) -> None:
        if block in wanted:
            states[block] = found.clone()

    replays(at.loaded, batch, [], last, read)
    return states


def _bends(step: Intervention) -> bool:
    """Whether a step may change distances between the pooled states of prompts."""
    return step.operator != "add" or step.scope.startswith(FROM)


def _carried(arm: Arm, states: Mapping[int, Tensor], where: TokenPlaces) -> Tensor:
    """What the steps of an arm add to the stream, none answering to those below it."""
    carried = torch.zeros_like(next(iter(states.values())))
    for step in sorted(arm.active, key=lambda s: s.block):
        here = states[step.block] + carried
        moved = _stepped(step, here) - here
        carried = carried + (moved if step.scope == ALL else moved * where.within(step.scope))
    return carried


def _stepped(step: Intervention, states: Tensor) -> Tensor:
    direction = step.direction.to(states)[None, None]
    return OPERATORS[step.operator](states, direction, torch.tensor(step.strength).to(states))
