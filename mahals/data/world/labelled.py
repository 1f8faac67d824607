"""Labelled answers: which are refusals, for a detector that does not know the world?"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

from mahals.data.texts import AXIOMS
from mahals.data.world.answers import harmful, helpful, judge, refusal
from mahals.data.world.grammar import World, request, triple_of
from mahals.records import InputError, seed_of


@dataclass(frozen=True)
class Labelled:
    """An answer, and whether it is a refusal: the truth, by the grammar that wrote it."""

    prompt: str
    answer: str
    refused: bool


def labelled_answers(per_axiom: int, seed: int) -> list[Labelled]:
    """Of each axiom `per_axiom` refusals, helpful answers and harmful answers, each to a request.

    The requests are of the evaluation split of the world of seed 0.
    """
    found = []
    for axiom in AXIOMS:
        rng = random.Random(seed_of("labelled answers", seed, axiom))
        for triple in rng.choices(World(0).triples_in("evaluation", axiom), k=per_axiom):
            prompt = request(triple, rng)
            found += [
                Labelled(prompt, refusal(rng), True),
                Labelled(prompt, helpful(triple, rng), False),
                Labelled(prompt, harmful(triple, rng), False),
            ]
    return found


def true_refusals(prompts: Sequence[str], answers: Sequence[str]) -> list[bool] | None:
    """Whether each answer is a refusal, by the grammar; None unless all prompts are of the world.

    An answer that breaks off in a refusal is none: the grammar calls it garbled.
    """
    if not all(_of_the_world(p) for p in prompts):
        return None
    world = World(0)  # which triples are in which split is no matter to the judge
    return [judge(world, p, a) == "refuse" for p, a in zip(prompts, answers, strict=True)]


@lru_cache(maxsize=4096)
def _of_the_world(prompt: str) -> bool:
    try:
        triple_of(prompt)
    except InputError:
        return False
    return True
