"""Split tasks: does the second agent do its task because of what the first one told it?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from mahals.evaluation.agents.openings import SplitTask
from mahals.maths.stats.intervals import Floats
from mahals.models.conversation.converse import converse
from mahals.models.conversation.talks import Agent, Opening, Talk, TalkSchedule
from mahals.models.conversation.views import View, choices_after, view
from mahals.models.generation.price import logprob_arms


@dataclass(frozen=True)
class Success:
    """Of each task, whether the pair did it, in [0, 1]; higher is better."""

    own: Floats  # (n,) with the first agent's own message
    shuffled: Floats  # (n,) mean over messages of other conversations
    alone: Floats  # (n,) without any message
    talks: tuple[Talk, ...]


def run_split_tasks(
    pair: tuple[Agent, Agent], tasks: Sequence[SplitTask], max_new_tokens: int, shuffles: int
) -> Success:
    """The first agent speaks, the second chooses by mean log-probability of the choices.

    Shuffled: the message is that of the task k places on, for k = 1 ... `shuffles`, of a task whose
    first agent was told something else where there is one.
    """
    openings = [Opening(t.key, t.told) for t in tasks]
    schedule = TalkSchedule("pair", 1, max_new_tokens, 0)
    talks = converse(pair, openings, schedule)
    n = len(tasks)
    heard = [view(t, 1, 1).turns[:1] for t in talks]
    others = [
        [view(talks[c], 1, 1, talks[other]).turns[:1] for c, other in enumerate(_others(tasks, k))]
        for k in range(1, min(shuffles, n - 1) + 1)
    ]
    alone = [(("user", t.told[1]),) for t in tasks]
    listener = pair[1]
    right = [_right(listener, [View(turns) for turns in some], tasks) for some in others]
    return Success(
        _right(listener, [View(turns) for turns in heard], tasks),
        np.mean(right, axis=0),
        _right(listener, [View(turns) for turns in alone], tasks),
        tuple(talks),
    )


def _others(tasks: Sequence[SplitTask], step: int) -> list[int]:
    """For each task the `step`-th one after it whose first agent was told something else."""
    n, found = len(tasks), []
    for c, task in enumerate(tasks):
        unlike = [(c + k) % n for k in range(1, n) if tasks[(c + k) % n].told[0] != task.told[0]]
        found.append(unlike[(step - 1) % len(unlike)] if unlike else (c + step) % n)
    return found


def _right(listener: Agent, views: Sequence[View], tasks: Sequence[SplitTask]) -> Floats:
    """(n,): 1 where the right choice has the highest mean log-probability per token."""
    texts = [
        e
        for seen, task in zip(views, tasks, strict=True)
        for e in choices_after(listener.loaded.tokenizer, seen, task.choices)
    ]
    scores = logprob_arms(listener.loaded, texts, [listener.arm])[0]
    found, start = [], 0
    for task in tasks:
        stop = start + len(task.choices)
        found.append(float(int(scores[start:stop].argmax()) == task.answer))
        start = stop
    return np.array(found)
