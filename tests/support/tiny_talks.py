"""Tiny talks: agents on tiny models, their openings and a schedule."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from mahals.models.conversation.converse import converse
from mahals.models.conversation.talks import Agent, Opening, Talk, TalkSchedule
from mahals.models.steering.interventions import Arm, Intervention
from tests.support.tiny_models import WIDTH, loaded

NONE = Arm("unsteered", ())
TELL = ("the cat sat", "share a garden", "the old town", "by the river")


def push(strength: float = 3.0, block: int = 1) -> Arm:
    direction = torch.randn(WIDTH, generator=torch.Generator().manual_seed(3))
    return Arm("pushed", (Intervention(block, direction, strength, "add"),))


def agents(*families: str) -> list[Agent]:
    return [Agent(f"{f} {i}", loaded(f), NONE) for i, f in enumerate(families)]


def openings(count: int, each: int = 2) -> list[Opening]:
    return [Opening(f"o{c}", tuple(f"{TELL[i]} {c}" for i in range(each))) for c in range(count)]


PAIR = TalkSchedule("pair", rounds=2, max_new_tokens=3, loop=0)


def replayed(agents: Sequence[Agent], talks: Sequence[Talk], schedule: TalkSchedule) -> list[str]:
    """The keys of talks that come out otherwise when they are held again; empty is right.

    For talks that were held without `mail`.
    """
    again = converse(agents, [t.opening for t in talks], schedule)
    return [a.opening.key for a, b in zip(talks, again, strict=True) if a != b]
