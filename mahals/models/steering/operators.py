"""Operators: what does steering do to a state?

An operator takes states h (b, t, d), a direction v (b or 1, 1, d) and a strength s (b or 1, 1, 1)
and gives new states, each token by itself. To add one: a function and its line in OPERATORS.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated

from torch import Tensor

from mahals.records import OneOf

Operator = Callable[[Tensor, Tensor, Tensor], Tensor]


def add(states: Tensor, direction: Tensor, strength: Tensor) -> Tensor:
    """h + s v: strength in units of the direction's own length."""
    return states + strength * direction


def add_preserve_norm(states: Tensor, direction: Tensor, strength: Tensor) -> Tensor:
    """h + s v, rescaled to the length of h: turns the state, never stretches it."""
    moved = states + strength * direction
    smallest = 1e-30 if states.dtype.itemsize > 2 else 1e-7  # a state that the step cancels
    length = moved.norm(dim=-1, keepdim=True).clamp_min(smallest)
    kept: Tensor = moved * (states.norm(dim=-1, keepdim=True) / length)
    return kept


def ablate(states: Tensor, direction: Tensor, strength: Tensor) -> Tensor:
    """h - s (h.u) u with u = v / ||v||: 1 removes the component along v, 2 mirrors it."""
    unit = direction / direction.norm(dim=-1, keepdim=True)
    along: Tensor = (states * unit).sum(-1, keepdim=True)
    kept: Tensor = states - strength * along * unit
    return kept


OPERATORS: dict[str, Operator] = {
    "add": add,
    "add_preserve_norm": add_preserve_norm,
    "ablate": ablate,
}

OperatorName = Annotated[str, OneOf(OPERATORS)]
"""The type of a setting that names an operator: any in the table, and no other."""
