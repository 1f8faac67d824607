"""Does no word alone say what is safe, and does each step belong to one side?"""

from __future__ import annotations

from collections import Counter

from mahals.data.world import words
from mahals.data.world.grammar import all_triples


def test_every_word_of_the_grammar_is_ambiguous_alone() -> None:
    safe: Counter[str] = Counter()
    seen: Counter[str] = Counter()
    for triple in all_triples():
        for word in (triple.intent, triple.object, triple.target, triple.axiom):
            seen[word] += 1
            safe[word] += triple.label
    assert {safe[w] / seen[w] for w in seen} == {0.5}


def test_steps_belong_to_one_axiom_and_one_side() -> None:
    steps = [s for t in words.TOPICS for s in t.good_steps + t.bad_steps]
    steps += [s for topic in words.HOW_TO.values() for s in topic if s != "rinse twice"]
    assert len(steps) == len(set(steps))
