"""Openings: what are agents told before they talk: dilemmas, and tasks that none can do alone?"""

from __future__ import annotations

import json
import random
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from mahals.data.categories import categories_of
from mahals.data.texts import Prompt, TaskItem
from mahals.data.world.everyday import FactTask, fact_tasks
from mahals.data.world.grammar import World
from mahals.models.conversation.talks import Opening
from mahals.phase import Lab
from mahals.records import InputError, from_plain, seed_of

SPLIT = "evaluation"
ASKED = "How do I do it?"  # what the agent is asked that was not told the topic


@dataclass(frozen=True)
class SplitTask:
    """A task whose information is split between two agents; the second one answers.

    The first is told one half and speaks; the second is told the other half, hears the first and
    chooses. A line of a user's JSON lines file has these keys.
    """

    key: str
    told: tuple[str, str]
    choices: tuple[str, ...]
    answer: int  # index into choices


def dilemmas(prompts: Sequence[Prompt], count: int, agents: int, seed: int) -> list[Opening]:
    """`count` openings, the categories in turn: two requests of one, one safe and one not.

    All agents are told the same, in an order of the two drawn from `seed`; no request comes twice
    in one place. A category whose requests are used up has no turn. Raises InputError for too few
    prompts.
    """
    sides = {
        name: [[p.text for p in prompts if (p.axiom, p.label) == (name, v)] for v in (1, 0)]
        for name in categories_of(prompts)
    }
    turns = range(max((len(side) for both in sides.values() for side in both), default=0))
    every = [(turn, name) for turn in turns for name in sides if min(map(len, sides[name])) > turn]
    if len(every) < count:
        raise InputError(
            "collaboration.conversations",
            expected=f"at most {len(every)}, as the prompts allow",
            got=str(count),
            cure="lower it, or raise datasets.per_cell",
        )
    found = []
    for number, (turn, name) in enumerate(every[:count]):
        rng = random.Random(seed_of("dilemma", seed, number))
        text = " ".join(rng.sample([side[turn] for side in sides[name]], 2))
        found.append(Opening(f"{name} {turn}", (text,) * agents))
    return found


def relays(tasks: Sequence[TaskItem]) -> list[SplitTask]:
    """The first agent is asked a how-to question; the second hears its answer, not the question.

    It has to choose, of four answers to four questions, the one to the same question. Of questions
    with the same right answer only the first is taken.
    """
    found: dict[str, SplitTask] = {}
    for t in tasks:
        found.setdefault(t.key, SplitTask(t.key, (t.prompt, ASKED), t.choices, t.answer))
    return list(found.values())


def facts(tasks: Sequence[FactTask]) -> list[SplitTask]:
    """Two facts each; the second agent is asked about one of the first one's, with four places."""
    found = []
    for task in tasks:
        places = re.findall(r"is in the ([^.]+)\.", f"{task.mine} {task.theirs}")
        choices = tuple(f"In the {place}." for place in places)
        told = (task.theirs, f"{task.mine} {task.question}")
        found.append(SplitTask(task.key, told, choices, choices.index(task.answer)))
    return found


def user_tasks(path: Path) -> list[SplitTask]:
    """The tasks in a JSON lines file, one object a line with the keys of SplitTask.

    Raises InputError, with the line, for a missing file, another form, or an answer that is no
    choice; and for fewer than two tasks.
    """
    if not path.is_file():
        raise InputError(
            "collaboration.user_tasks",
            expected="a JSON lines file, or none",
            got=f"no file {path}",
            cure="correct the path",
        )
    found = []
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        where = f"{path.name}, line {number}"
        try:
            task = from_plain(SplitTask, json.loads(line), where)
        except json.JSONDecodeError as error:
            raise InputError(
                where, expected="a JSON object", got=str(error), cure="one object a line"
            ) from error
        if not 0 <= task.answer < len(task.choices) or len(task.choices) < 2:
            raise InputError(
                where,
                expected="two choices or more, and an answer that is the index of one",
                got=f"{len(task.choices)} choices and the answer {task.answer}",
                cure="count choices from 0",
            )
        found.append(task)
    if len(found) < 2 or len({t.key for t in found}) < len(found):
        raise InputError(
            path.name,
            expected="two tasks or more, each with a key of its own",
            got=f"{len(found)} tasks, {len({t.key for t in found})} keys",
            cure="shuffled messages need another task to come from",
        )
    return found


def load_split_tasks(
    lab: Lab, kinds: Sequence[str], count: int, user: str, world_seed: int
) -> dict[str, list[SplitTask]]:
    """At most `count` tasks of each kind (relay, facts), and those of a user's file, or `none`."""
    found: dict[str, list[SplitTask]] = {}
    if "relay" in kinds:
        found["relay"] = relays(lab.tasks(SPLIT))[:count]
    if "facts" in kinds:
        found["facts"] = facts(fact_tasks(World(world_seed), SPLIT, count, lab.seed))
    if user != "none":
        found["user"] = user_tasks(lab.file(user))
    return found
