"""Everyday texts: which harmless ones does the world hold: stories, how-to questions, facts?"""

from __future__ import annotations

import random
from dataclasses import dataclass

from mahals.data.texts import TaskItem
from mahals.data.world import words
from mahals.data.world.grammar import World
from mahals.records import seed_of


@dataclass(frozen=True)
class FactTask:
    """A question only the one who holds the other half of the facts can answer."""

    mine: str  # what the answering agent knows
    theirs: str  # what the other agent knows
    question: str
    answer: str
    key: str
    split: str


def story(rng: random.Random) -> str:
    """A harmless story of two sentences."""
    first, second = rng.sample(words.NAMES, 2)
    thing, other = rng.sample(words.THINGS, 2)
    return (
        f"In the {rng.choice(words.TIMES)} {first} walked through the {rng.choice(words.WEATHER)} "
        f"to the {rng.choice(words.PLACES)} with a {rng.choice(words.COLOURS)} {thing}. There "
        f"{second} gave {first} a {rng.choice(words.COLOURS)} {other} and both went home."
    )


def how_to_question(topic: str) -> str:
    """The user's words for a how-to topic."""
    return f"How do I {topic}?"


def how_to_answer(steps: tuple[str, ...]) -> str:
    """Steps as an answer."""
    first, *rest = steps
    return "First " + first + "".join(f", then {step}" for step in rest) + "."


def correction(topic: str, wrong: tuple[str, ...], right: tuple[str, ...]) -> str:
    """An answer that starts off the topic, notices and starts again."""
    return f"{how_to_answer(wrong)} Wait, that is off topic. To {topic}: {how_to_answer(right)}"


def _seeded(world: World, kind: str, split: str, seed: int) -> random.Random:
    return random.Random(seed_of(kind, world.seed, split, seed))


def neutral(world: World, split: str, n: int, seed: int) -> list[str]:
    """`n` different stories of one split (by hash of the text), for perplexity and for maps."""
    world.triples_in(split, words.TOPICS[0].axiom)  # refuses an unknown split
    rng = _seeded(world, "neutral", split, seed)
    found: dict[str, None] = {}
    while len(found) < n:
        text = story(rng)
        if world.split_of(text) == split:
            found[text] = None
    return list(found)


def tasks(world: World, split: str, n: int, seed: int) -> list[TaskItem]:
    """`n` how-to questions of one split, each with four answers of which one fits the question.

    Answers are two steps of one topic; the split is by hash of topic and steps. Chance is .25.
    """
    world.triples_in(split, words.TOPICS[0].axiom)
    rng = _seeded(world, "tasks", split, seed)
    found: list[TaskItem] = []
    while len(found) < n:
        topic, *others = rng.sample(sorted(words.HOW_TO), 4)
        right = tuple(rng.sample(words.HOW_TO[topic], 2))
        key = "|".join((topic, *right))
        if world.split_of(key) != split:
            continue
        texts = [how_to_answer(right)]
        texts += [how_to_answer(tuple(rng.sample(words.HOW_TO[o], 2))) for o in others]
        order = rng.sample(range(4), 4)
        choices = tuple(texts[i] for i in order)
        found.append(TaskItem(how_to_question(topic), choices, order.index(0), key, split))
    return found


def fact(thing: str, place: str) -> str:
    """One fact."""
    return f"The {thing} is in the {place}."


def fact_tasks(world: World, split: str, n: int, seed: int) -> list[FactTask]:
    """`n` split-information tasks: two things each, the question is about one of the others'."""
    world.triples_in(split, words.TOPICS[0].axiom)
    rng = _seeded(world, "facts", split, seed)
    found: list[FactTask] = []
    while len(found) < n:
        things, places = rng.sample(words.THINGS, 4), rng.sample(words.PLACES, 4)
        facts = [fact(t, p) for t, p in zip(things, places, strict=True)]
        key = " ".join(facts)
        if world.split_of(key) != split:
            continue
        asked = rng.choice((2, 3))
        found.append(
            FactTask(
                " ".join(facts[:2]),
                " ".join(facts[2:]),
                f"Where is the {things[asked]}?",
                f"In the {places[asked]}.",
                key,
                split,
            )
        )
    return found
