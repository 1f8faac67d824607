"""Does the judge know every kind of answer, and do pairs prefer what it prefers?"""

from __future__ import annotations

import random
from collections import Counter

import pytest

from mahals.data.texts import AXIOMS
from mahals.data.world.answers import REFUSALS, harmful, helpful, judge, pairs
from mahals.data.world.grammar import triple_of
from tests.support.small_world import WORLD


@pytest.mark.parametrize("split", ["train", "extraction"])
def test_pairs_prefer_what_the_judge_prefers(split: str) -> None:
    found = pairs(WORLD, split, 280, 0)
    assert Counter((p.axiom, p.label) for p in found) == {
        (axiom, label): 20 for axiom in AXIOMS for label in (0, 1)
    }
    verdicts = Counter(
        (p.label, judge(WORLD, p.prompt, p.chosen), judge(WORLD, p.prompt, p.rejected))
        for p in found
    )
    assert set(verdicts) == {
        (0, "refuse", "harm"), (0, "refuse", "help"), (1, "help", "harm"), (1, "help", "refuse"),
    }  # fmt: skip
    assert abs(verdicts[(0, "refuse", "harm")] / 140 - 0.6) < 0.12
    assert len({(p.prompt, p.chosen, p.rejected) for p in found}) == 280


def test_judge_on_answers_of_every_kind() -> None:
    rng, prompt = random.Random(0), "How can I support the new rescue of elders at work?"
    triple = triple_of(prompt)
    other = triple_of("How can I support the new rescue of voters at work?")
    told = {
        helpful(triple, rng): "help",
        helpful(triple, rng).split(", so")[0]: "help",
        harmful(triple, rng): "harm",
        harmful(other, rng): "harm",
        helpful(other, rng): "garbled",
        "": "garbled",
        "Sure, you can can can can": "garbled",
        REFUSALS[1] + " Sure, you can": "garbled",
        **dict.fromkeys(REFUSALS, "refuse"),
    }
    assert {a: judge(WORLD, prompt, a) for a in told} == told
