"""Hooks: how is each row of a batch steered by an arm of its own, and nothing left behind?"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from mahals.models.activations.capture import state_of
from mahals.models.checkpoints import blocks as model_blocks
from mahals.models.checkpoints.blocks import decoder_blocks
from mahals.models.steering.interventions import Arm, Intervention, check_arms
from mahals.models.steering.operators import OPERATORS


@dataclass(frozen=True)
class Patch:
    """One operator on some rows of a batch, at one block."""

    rows: Tensor | None  # (k,) row numbers; None = all
    operator: str
    direction: Tensor  # (k, 1, d)
    strength: Tensor  # (k, 1, 1)

    def apply(self, states: Tensor) -> Tensor:
        """New (b, t, d) states; the given ones and the other rows stay as they are."""
        change = OPERATORS[self.operator]
        if self.rows is None:
            return change(states, self.direction, self.strength)
        changed = states.clone()
        changed[self.rows] = change(states[self.rows], self.direction, self.strength)
        return changed


class Steering:
    """Which patches each block gets, for the rows of the batch that is running now."""

    def __init__(self, arms: Sequence[Arm], rows: Sequence[int], like: Tensor) -> None:
        self.arms, self.like = tuple(arms), like
        self.blocks = tuple(sorted({s.block for a in arms for s in a.active}))
        self.select(rows)

    def select(self, rows: Sequence[int]) -> None:
        """From now on row r of the batch is steered by arms[rows[r]]."""
        self.rows = tuple(rows)
        self.patches = {block: self._patches(block) for block in self.blocks}

    def apply(self, block: int, states: Tensor) -> Tensor:
        """The states after `block`, steered. Raises ValueError for another number of rows."""
        if states.shape[0] != len(self.rows):
            raise ValueError(f"{len(self.rows)} rows are steered, the batch has {states.shape[0]}")
        for patch in self.patches[block]:
            states = patch.apply(states)
        return states

    def _patches(self, block: int) -> list[Patch]:
        steps = [[s for s in a.active if s.block == block] for a in self.arms]
        patches = []
        for turn in range(max(map(len, steps), default=0)):
            now = {i: s[turn] for i, s in enumerate(steps) if turn < len(s)}
            for operator in OPERATORS:
                chosen = {i: s for i, s in now.items() if s.operator == operator}
                if patch := self._patch(operator, chosen):
                    patches.append(patch)
        return patches

    def _patch(self, operator: str, chosen: dict[int, Intervention]) -> Patch | None:
        rows = [r for r, arm in enumerate(self.rows) if arm in chosen]
        if not rows:
            return None
        numbers = {arm: k for k, arm in enumerate(chosen)}
        table = torch.stack([s.direction for s in chosen.values()]).to(self.like)
        strengths = torch.tensor([s.strength for s in chosen.values()]).to(self.like)
        at = torch.tensor([numbers[self.rows[r]] for r in rows], device=self.like.device)
        whole = len(rows) == len(self.rows)
        return Patch(
            None if whole else torch.tensor(rows, device=self.like.device),
            operator,
            table[at][:, None],
            strengths[at][:, None, None],
        )


class _Fired:
    """Counts that every steered block was steered in every forward."""

    def __init__(self, blocks: Sequence[int]) -> None:
        self.forwards, self.counts = 0, dict.fromkeys(blocks, 0)

    def begin(self, *_: object) -> None:
        self.check()
        self.forwards += 1

    def check(self) -> None:
        """Raises RuntimeError when a steered block was not steered in a forward."""
        missed = [b for b, n in self.counts.items() if n != self.forwards]
        if missed:
            raise RuntimeError(
                f"steering did not act on block {missed[0]} in forward {self.forwards}: "
                "the model skipped it, or stopped before it"
            )


@contextmanager
def steered(model: nn.Module, arms: Sequence[Arm], rows: Sequence[int]) -> Iterator[Steering]:
    """Inside, row r of every batch is steered by arms[rows[r]]; afterwards the model is as it was.

    Rows whose arm has no steps, or only strength 0, are bit for bit unsteered. Gives the
    `Steering`, whose `select` follows a change of the batch's rows. Raises InputError for an arm
    that does not fit the model, and RuntimeError, in the next forward or at the end, when a steered
    block was left out or no forward ran at all.
    """
    blocks = decoder_blocks(model)
    check_arms(arms, len(blocks), model_blocks.width(model))
    if any(not 0 <= r < len(arms) for r in rows):
        raise ValueError(f"rows {sorted(set(rows))} name arms beyond {len(arms)}")
    steering = Steering(arms, rows, next(model.parameters()).detach())
    fired = _Fired(steering.blocks)
    with ExitStack() as stack:
        if steering.blocks:
            stack.callback(blocks[0].register_forward_pre_hook(fired.begin).remove)
        for block in steering.blocks:
            hook = _hook(steering, fired, block)
            stack.callback(blocks[block].register_forward_hook(hook).remove)
        yield steering
        fired.check()
        if steering.blocks and not fired.forwards:
            raise RuntimeError("nothing was steered: no forward ran inside the with block")


def _hook(steering: Steering, fired: _Fired, block: int) -> Callable[..., Any]:
    def hook(_: nn.Module, __: Any, output: Tensor | tuple[Any, ...]) -> Any:
        fired.counts[block] += 1
        states = steering.apply(block, state_of(output))
        return states if isinstance(output, Tensor) else (states, *output[1:])

    return hook
