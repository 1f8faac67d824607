"""Interventions: which blocks does an arm steer, along what, how strongly?"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from mahals.models.checkpoints.checkpoint import Loaded
from mahals.models.steering.operators import OPERATORS
from mahals.models.steering.scope import ALL
from mahals.records import InputError, unknown


@dataclass(frozen=True, eq=False)
class Intervention:
    """One operator on the output of one block, at the tokens of its scope."""

    block: int  # 0-based
    direction: Tensor  # (d,)
    strength: float  # 0 leaves the state as it is, bit for bit
    operator: str  # a key of OPERATORS
    scope: str = ALL  # at which tokens: see `scope`


@dataclass(frozen=True, eq=False)
class Arm:
    """A configuration of a model; no steps = unsteered. Steps at one block act in their order."""

    name: str
    steps: tuple[Intervention, ...]

    @property
    def active(self) -> tuple[Intervention, ...]:
        """The steps that change anything: those of strength other than 0."""
        return tuple(s for s in self.steps if s.strength != 0)

    @property
    def first(self) -> int | None:
        """The first block that is changed; None for an unsteered arm."""
        return min((s.block for s in self.active), default=None)


def check_arms(arms: Sequence[Arm], layers: int, width: int) -> None:
    """Raises InputError when an arm does not fit a model of `layers` blocks of `width`."""
    if not arms:
        raise InputError("arms", expected="at least one", got="none", cure="add Arm('x', ())")
    for arm in arms:
        for step in arm.steps:
            _check(arm.name, step, layers, width)


def _check(name: str, step: Intervention, layers: int, width: int) -> None:
    if step.operator not in OPERATORS:
        raise unknown("operator", step.operator, OPERATORS)
    shape = tuple(step.direction.shape)
    if not 0 <= step.block < layers or shape != (width,):
        raise InputError(
            f"arm {name}",
            expected=f"a block from 0 to {layers - 1} and a direction of shape ({width},)",
            got=f"block {step.block} and shape {shape}",
            cure="use a vector of this architecture, or move it by a map",
        )
    finite = math.isfinite(step.strength) and bool(torch.isfinite(step.direction).all())
    if not finite or (step.operator == "ablate" and not bool(step.direction.any())):
        raise InputError(
            f"arm {name}",
            expected="a finite strength and direction (not all 0 to ablate)",
            got=f"strength {step.strength}, direction of norm {step.direction.norm().item()}",
            cure="extract the vector again, or leave the arm out",
        )


def fits(loaded: Loaded, arms: Sequence[Arm]) -> None:
    """`check_arms` for a loaded model."""
    check_arms(arms, loaded.layers, loaded.width)
