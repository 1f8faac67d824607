"""Held-out axiom: is it kept out of every vector, and has each axiom a direction of its own?"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from mahals.data.texts import AXIOMS
from mahals.maths.vectors.estimators import mean_difference
from mahals.phases.steering_vectors.measure.held_out_axiom import by_axiom, check_axiom, leave_out
from mahals.phases.steering_vectors.measure.pairs import PairReader, PairReading
from tests.support.tiny_lab import TinyLab, refused

READING = PairReading("unsafe", "last", 512, 1, False)
PAIRS = TinyLab().pairs("extraction")
LAST = AXIOMS[-1]


def test_pairs_are_divided_by_the_axiom() -> None:
    found = leave_out(PAIRS, LAST)
    assert {p.axiom for p in found.used} == set(AXIOMS[:-1])
    assert {p.axiom for p in found.apart} == {LAST} == {found.axiom}
    assert sorted((*found.used, *found.apart), key=str) == sorted(PAIRS, key=str)
    assert leave_out(PAIRS, "none").used == PAIRS and leave_out(PAIRS, "none").axiom is None


def test_pairs_without_axiom_leave_nothing_out_and_say_why() -> None:
    bare = [replace(p, axiom=None) for p in PAIRS]
    found = leave_out(bare, LAST)
    assert (found.used, found.apart, found.axiom) == (tuple(bare), (), None)
    assert found.reason is not None and "no axiom" in found.reason
    assert leave_out(bare, "none").reason is None
    check_axiom("privacy", "hub")
    other = leave_out(PAIRS, "privacy")
    assert (other.used, other.apart, other.axiom) == (PAIRS, (), None)
    assert other.reason == "left_out: no pair is of the category privacy"
    axioms = by_axiom(PairReader(replace(READING, texts="balanced"), TinyLab(), "A", bare), None)
    assert axioms.directions is None and axioms.reason is not None


@pytest.mark.parametrize("name", ["Wisdom and Knowledge", "wisdom", "", "None"])
def test_an_unknown_axiom_is_refused_by_name(name: str) -> None:
    said = str(refused(lambda: check_axiom(name, "organism")))
    assert repr(name) in said and LAST in said and "steering_vectors.left_out" in said


def test_each_axiom_has_the_mean_difference_of_its_own_texts() -> None:
    """Also the one left out; by hand, from readers of one axiom's pairs each."""
    divided = leave_out(PAIRS, LAST)
    lab = TinyLab()
    readers = [PairReader(READING, lab, "A", some) for some in (divided.used, divided.apart)]
    found = by_axiom(readers[0], readers[1]).directions
    assert found is not None
    for i, axiom in enumerate(AXIOMS):
        own = PairReader(READING, TinyLab(), "A", [p for p in PAIRS if p.axiom == axiom])
        one = mean_difference(*own.states("mean_difference"))
        np.testing.assert_allclose(found.values[i], one.values, atol=1e-5)
    used = readers[0].vectors("mean_difference").values
    np.testing.assert_allclose(found.values[:-1].mean(axis=0), used, atol=1e-5)  # equal counts


def test_too_few_pairs_of_an_axiom_is_a_reason_not_a_number() -> None:
    unsafe = [p for p in PAIRS if p.label == 0]
    few = [p for p in unsafe if p.axiom != AXIOMS[2]] + [p for p in unsafe if p.axiom == AXIOMS[2]][
        :1
    ]
    found = by_axiom(PairReader(READING, TinyLab(), "A", few), None)
    assert found.directions is not None and len(found.directions.values) == 6
    assert found.categories == (*AXIOMS[:2], *AXIOMS[3:])
    assert found.reason == f"axioms: fewer than 2 pairs (1 of {AXIOMS[2]})"
    alone = [p for p in unsafe if p.axiom == AXIOMS[2]][:1]
    none = by_axiom(PairReader(READING, TinyLab(), "A", alone), None)
    assert (none.directions, none.categories, none.reason) == (None, (), found.reason)


def test_categories_are_those_of_the_pairs() -> None:
    named = {axiom: f"kind {i % 3}" for i, axiom in enumerate(AXIOMS)}
    pairs = [replace(p, axiom=named[p.axiom or ""]) for p in PAIRS]
    found = by_axiom(PairReader(READING, TinyLab(), "A", pairs), None)
    assert found.categories == ("kind 0", "kind 1", "kind 2") and found.reason is None
    assert found.directions is not None and len(found.directions.values) == 3
