"""Do harmless texts keep to their split, and has each question one right answer?"""

from __future__ import annotations

from collections import Counter

from mahals.data.world import words
from mahals.data.world.everyday import fact_tasks, neutral, tasks
from tests.support.small_world import MEASURED, WORLD


def test_neutral_texts_and_tasks_keep_to_their_split() -> None:
    for split in MEASURED:
        assert all(WORLD.split_of(t) == split for t in neutral(WORLD, split, 50, 0))
        assert all(WORLD.split_of(t.key) == split for t in tasks(WORLD, split, 30, 0))
        assert all(WORLD.split_of(t.key) == split for t in fact_tasks(WORLD, split, 10, 0))


def test_one_choice_of_a_task_fits_its_question() -> None:
    found = tasks(WORLD, "evaluation", 200, 0)
    for task in found:
        topic = task.prompt.removeprefix("How do I ").rstrip("?")
        first = [c.removeprefix("First ").split(", then ")[0] for c in task.choices]
        right = [i for i, step in enumerate(first) if step in words.HOW_TO[topic]]
        assert right == [task.answer]
    assert set(Counter(t.answer for t in found)) == {0, 1, 2, 3}


def test_only_the_others_facts_answer_a_fact_task() -> None:
    for task in fact_tasks(WORLD, "evaluation", 50, 0):
        place = task.answer.removeprefix("In the ").rstrip(".")
        thing = task.question.removeprefix("Where is the ").rstrip("?")
        assert f"The {thing} is in the {place}." in task.theirs
        assert thing not in task.mine and place not in task.mine
