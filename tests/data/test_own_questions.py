"""Are the project's own questions different, with one right answer, at every place as often?"""

from collections import Counter

from mahals.data.own_questions import own_questions


def test_questions_are_many_and_all_different():
    asked = own_questions()
    assert len(asked) >= 64
    assert len({question.casefold() for question, _, _ in asked}) == len(asked)
    assert all(question.endswith("?") for question, _, _ in asked)


def test_every_question_has_four_different_choices():
    for question, choices, answer in own_questions():
        assert len({c.casefold() for c in choices}) == len(choices) == 4, question
        assert all(c == c.strip() and c for c in choices)
        assert 0 <= answer < 4


def test_the_right_answer_stands_at_every_place_as_often():
    places = Counter(answer for _, _, answer in own_questions())
    assert max(places.values()) - min(places.values()) <= 1 and len(places) == 4


def test_the_right_answer_is_the_one_that_is_right():
    by_hand = {
        "How many legs does a spider have?": "Eight", "Which animal barks?": "A dog",
        "What is the capital of Japan?": "Tokyo",
        "How many eyes does a person usually have?": "Two",
        "Which planet is known for its large rings?": "Saturn",
    }  # fmt: skip
    found = {question: choices[answer] for question, choices, answer in own_questions()}
    assert {q: found[q] for q in by_hand} == by_hand


def test_the_right_answer_is_seldom_the_longest():
    longest = sum(
        len(choices[answer]) > max(len(c) for i, c in enumerate(choices) if i != answer)
        for _, choices, answer in own_questions()
    )
    assert longest / len(own_questions()) < 0.4
