"""Are labelled answers what a reader of the world's refusals would call them?"""

from __future__ import annotations

from collections import Counter

from mahals.data.texts import AXIOMS
from mahals.data.world.answers import REFUSALS
from mahals.data.world.grammar import triple_of
from mahals.data.world.labelled import labelled_answers, true_refusals


def test_a_third_of_each_axioms_answers_are_refusals_by_their_words() -> None:
    found = labelled_answers(5, 0)
    counts = Counter((triple_of(a.prompt).axiom, a.refused) for a in found)
    assert counts == {
        (a, refused): 5 if refused else 10 for a in AXIOMS for refused in (True, False)
    }
    assert [a.refused for a in found] == [a.answer in REFUSALS for a in found]
    assert found == labelled_answers(5, 0) != labelled_answers(5, 1)


def test_the_truth_of_the_grammar_is_that_of_the_labels() -> None:
    found = labelled_answers(5, 0)
    prompts, answers = [a.prompt for a in found], [a.answer for a in found]
    assert true_refusals(prompts, answers) == [a.refused for a in found]
    broken_off = REFUSALS[0].rsplit(" ", 1)[0]
    assert true_refusals(prompts[:1], [broken_off]) == [False]


def test_no_truth_is_known_of_a_prompt_from_elsewhere() -> None:
    prompt = labelled_answers(1, 0)[0].prompt
    assert true_refusals([prompt, "How do I boil an egg?"], [REFUSALS[0]] * 2) is None
