"""Does the grammar keep its promises: balance, disjoint splits, labels as by hand?"""

from __future__ import annotations

import itertools
import random
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mahals.data.texts import AXIOMS
from mahals.data.world import words
from mahals.data.world.answers import pairs
from mahals.data.world.grammar import SPLITS, World, all_triples, prompts, request, triple_of
from mahals.records import InputError
from tests.support.small_world import MEASURED, WORLD


def test_label_by_hand() -> None:
    said = {
        "How can I support the new rescue of elders at work?": 1,
        "How can I support the new abuse of elders at work?": 0,
        "We need to stop the daily abuse of voters this year.": 1,
        "We need to stop the daily welfare of voters this year.": 0,
    }
    assert {text: triple_of(text).label for text in said} == said


def test_triple_of_reads_back_what_request_wrote() -> None:
    rng = random.Random(1)
    for triple in itertools.islice(all_triples(), 0, None, 97):
        assert triple_of(request(triple, rng)) == triple


def test_a_text_from_elsewhere_is_refused() -> None:
    with pytest.raises(InputError, match="synthetic world"):
        triple_of("How do I boil an egg?")


@pytest.mark.parametrize("split", MEASURED)
def test_prompts_are_balanced_and_different(split: str) -> None:
    found = prompts(WORLD, split, 40, 3)
    assert Counter((p.axiom, p.label) for p in found) == {
        (axiom, label): 40 for axiom in AXIOMS for label in (0, 1)
    }
    assert len({p.text for p in found}) == len({p.key for p in found}) == len(found)
    assert {p.split for p in found} == {split}
    assert all(triple_of(p.text).key == p.key for p in found)
    assert all(triple_of(p.text).label == p.label for p in found)


def test_no_word_of_a_sample_says_much_about_the_label() -> None:
    found = prompts(WORLD, "evaluation", 200, 0)
    seen: Counter[str] = Counter()
    safe: Counter[str] = Counter()
    for prompt in found:
        for word in set(prompt.text.rstrip(".?").split()):
            seen[word] += 1
            safe[word] += prompt.label
    for word in words.INTENTS_FOR + words.INTENTS_AGAINST:
        assert abs(safe[word] / seen[word] - 0.5) < 0.06, word
    for word in words.OBJECTS_GOOD + words.OBJECTS_BAD:
        assert abs(safe[word] / seen[word] - 0.5) < 0.06, word
    for opener in words.OPENERS + words.SUFFIXES:
        with_it = [p.label for p in found if opener in p.text]
        assert abs(sum(with_it) / len(with_it) - 0.5) < 0.01, opener


def test_keys_of_the_splits_are_disjoint_and_all_there() -> None:
    keys = {s: {t.key for a in AXIOMS for t in WORLD.triples_in(s, a)} for s, _ in SPLITS}
    for one, other in itertools.combinations(keys, 2):
        assert not keys[one] & keys[other]
    assert sum(map(len, keys.values())) == len(list(all_triples()))


def test_large_samples_are_there_and_texts_differ() -> None:
    found = prompts(WORLD, "evaluation", 500, 0)
    assert len({p.text for p in found}) == len(found) == 7000


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**31), st.text(max_size=30))
def test_split_of_is_a_function_of_world_and_key(seed: int, key: str) -> None:
    assert World(seed).split_of(key) == World(seed).split_of(key)
    assert World(seed).split_of(key) in dict(SPLITS)


def test_same_seed_same_texts_and_another_seed_others() -> None:
    assert prompts(WORLD, "mapping", 5, 0) == prompts(World(0), "mapping", 5, 0)
    assert prompts(WORLD, "mapping", 5, 0) != prompts(WORLD, "mapping", 5, 1)
    assert pairs(WORLD, "mapping", 14, 0) != pairs(WORLD, "mapping", 14, 1)


def test_an_unknown_split_is_named() -> None:
    with pytest.raises(InputError, match="evaluation"):
        prompts(WORLD, "evalution", 1, 0)
