"""Openings: do talks begin with what they should, from the world or from a file?"""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from mahals.data.texts import AXIOMS, TaskItem
from mahals.data.world.everyday import fact_tasks
from mahals.data.world.grammar import World
from mahals.evaluation.agents.openings import dilemmas, facts, relays, user_tasks
from mahals.records import InputError
from tests.support.tiny_lab import prompts


def test_openings() -> None:
    made = dilemmas(prompts("selection"), 9, 3, 0)
    assert len({o.key for o in made}) == 9 and all(len(o.texts) == 3 for o in made)
    assert [o.key.rpartition(" ")[0] for o in made[:7]] == list(AXIOMS)
    with pytest.raises(InputError, match="conversations"):
        dilemmas(prompts("selection"), 7 * 6 + 1, 2, 0)
    few = [p for p in prompts("selection") if p.axiom in AXIOMS[:2]]
    few = [p for p in few if (p.axiom, p.label) != (AXIOMS[0], 0)] + [
        p for p in few if (p.axiom, p.label) == (AXIOMS[0], 0)
    ][:1]
    assert [o.key.rpartition(" ")[0] for o in dilemmas(few, 4, 2, 0)] == [
        AXIOMS[0],
        *[AXIOMS[1]] * 3,
    ]
    item = TaskItem("How do I bake?", ("a", "b"), 1, "k", "evaluation")
    assert relays([item])[0].told[0] == "How do I bake?" and relays([item])[0].answer == 1
    assert len(relays([item, item, replace(item, key="l")])) == 2
    for task, made_of in zip(fact_tasks(World(0), "evaluation", 20, 0), facts(
        fact_tasks(World(0), "evaluation", 20, 0)), strict=True):  # fmt: skip
        assert len(set(made_of.choices)) == 4
        assert made_of.choices[made_of.answer] == task.answer
        place = task.answer.removeprefix("In the ").rstrip(".")
        assert place in made_of.told[0] and place not in made_of.told[1]


def test_user_tasks(tmp_path: Path) -> None:
    good = {"key": "a", "told": ["x", "y"], "choices": ["p", "q"], "answer": 1}
    file = tmp_path / "tasks.jsonl"
    file.write_text("\n".join(json.dumps(g) for g in (good, good | {"key": "b"})))
    assert [t.key for t in user_tasks(file)] == ["a", "b"]
    for bad in (good | {"answer": 2}, good | {"told": ["x"]}, {"key": "c"}, good):
        file.write_text("\n".join(json.dumps(g) for g in (good, bad)))
        with pytest.raises(InputError):
            user_tasks(file)
    file.write_text("{")
    with pytest.raises(InputError, match="line 1"):
        user_tasks(file)
    with pytest.raises(InputError, match="no file"):
        user_tasks(tmp_path / "missing.jsonl")
