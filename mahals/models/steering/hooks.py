"""Hooks: how is each row of a batch steered by an arm of its own, and nothing left behind?"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn

from mahals.models.activations.capture import state_of
from mahals.models.checkpoints import blocks as model_blocks
from mahals.models.checkpoints.blocks import decoder_blocks
from mahals.models.steering.interventions import Arm, Intervention, check_arms
from mahals.models.steering.operators import OPERATORS
from mahals.models.steering.scope import ALL, TokenPlaces


@dataclass(frozen=True)
class Patch:
    """One operator on some rows of a batch, at one block."""

    rows: Tensor | None  # (k,) row numbers; None = all
    operator: str
    direction: Tensor  # (k, 1, d)
    strength: Tensor  # (k, 1, 1)
    scope: str

    def apply(self, states: Tensor, where: TokenPlaces | None) -> Tensor:
        """New (b, t, d) states; the given ones and the other rows stay as they are.

        `where` the tokens are, for a scope other than all: tokens beyond it stay as they are.
        """
        patch = self.to(states)
        if patch.rows is None:
            return patch._change(states, where)
        changed = states.clone()
        changed[patch.rows] = patch._change(states[patch.rows], where)
        return changed

    def to(self, states: Tensor) -> Patch:
        """The patch where the states are: a model may lie on several devices."""
        if states.device == self.direction.device:
            return self
        at = states.device
        rows = None if self.rows is None else self.rows.to(at)
        return replace(
            self, rows=rows, direction=self.direction.to(at), strength=self.strength.to(at)
        )

    def _change(self, states: Tensor, where: TokenPlaces | None) -> Tensor:
        changed = OPERATORS[self.operator](states, self.direction, self.strength)
        if self.scope == ALL:
            return changed
        if where is None:
            raise RuntimeError(f"scope {self.scope}: nobody said where the batch's tokens are")
        inside = where.within(self.scope).to(states.device)
        return changed.where(inside if self.rows is None else inside[self.rows], states)


class Steering:
    """Which patches each block gets, for the rows of the batch that is running now."""

    def __init__(self, arms: Sequence[Arm], rows: Sequence[int], like: Tensor) -> None:
        self.arms, self.like = tuple(arms), like
        self.blocks = tuple(sorted({s.block for a in arms for s in a.active}))
        self.places: TokenPlaces | None = None  # of the next batch, for a scope other than all
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
            states = patch.apply(states, self.places)
        return states

    def _patches(self, block: int) -> list[Patch]:
        steps = [[s for s in a.active if s.block == block] for a in self.arms]
        patches = []
        for turn in range(max(map(len, steps), default=0)):
            now = {i: s[turn] for i, s in enumerate(steps) if turn < len(s)}
            kinds = {(s.operator, s.scope) for s in now.values()}
            for operator, scope in sorted(kinds, key=lambda k: (list(OPERATORS).index(k[0]), k[1])):
                chosen = {
                    i: s for i, s in now.items() if (s.operator, s.scope) == (operator, scope)
                }
                if patch := self._patch(operator, scope, chosen):
                    patches.append(patch)
        return patches

    def _patch(self, operator: str, scope: str, chosen: dict[int, Intervention]) -> Patch | None:
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
            scope,
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
