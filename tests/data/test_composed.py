"""Is an answer what its parts are, and does it start where it is said to?"""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mahals.data.composed import (
    RESTARTS,
    Composed,
    compose,
    cut_at_sentence,
    planted_answers,
    restart_of,
)
from mahals.data.world.everyday import correction, how_to_answer, how_to_question
from mahals.data.world.words import HOW_TO

OWN = {how_to_question(topic): [how_to_answer(steps)] for topic, steps in HOW_TO.items()}
PASSAGES = {topic: OWN[how_to_question(topic)] for topic in HOW_TO}
ASKED = {f"How do I mend number {n}?": [f"Take it. Mend {n} well. Done."] for n in range(6)}
ABOUT = {
    "lava": ["Lava is hot. It flows down. It cools.", "Lava glows. It is rock."],
    "ice": ["Ice is cold. It floats. It melts."],
    "sand": ["Sand is dry. It drifts."],
}


def test_the_world_restarts_in_the_words_its_models_were_taught() -> None:
    for topic, right in HOW_TO.items():
        for other in set(HOW_TO) - {topic}:
            prompt, wrong = how_to_question(topic), HOW_TO[other]
            parts = [how_to_answer(wrong), restart_of(prompt), how_to_answer(right)]
            taught = correction(topic, wrong, right)
            start = taught.index("Wait")
            assert compose(parts) == Composed(taught, (0, start))
            assert parts[0] + " " + parts[1] + parts[2] == taught


def test_other_prompts_have_each_restart_and_always_the_same() -> None:
    prompts = [f"How do I do number {n}?" for n in range(600)]
    counts = Counter(map(restart_of, prompts))
    assert set(counts) == set(RESTARTS) and min(counts.values()) > 60
    assert [restart_of(p) for p in prompts[:9]] == [restart_of(p) for p in prompts[:9]]


def test_parts_by_hand() -> None:
    restart = RESTARTS[0]
    made = compose(["Lava is hot. ", restart, "\nPull the plug."])
    assert made.text == f"Lava is hot. {restart}Pull the plug."
    assert made.starts == (0, 13)
    assert compose(["Lava is hot.", restart]) == Composed(f"Lava is hot. {restart[:-1]}", (0, 13))
    assert compose(["Lava is hot.", "Pull it."]) == Composed("Lava is hot. Pull it.", (0,))
    assert compose([restart, "Pull it."]).starts == (0,)
    assert compose(["", "  ", "Pull it."]) == Composed("Pull it.", (0,))
    assert compose(["- hot\n- red", restart]).text == f"- hot\n- red\n\n{restart[:-1]}"
    assert compose(["a.", restart, "b.", RESTARTS[1], "c."]).starts == (0, 3, len(restart) + 6)


@settings(max_examples=100, deadline=None)
@given(off=st.text(min_size=1), on=st.text(min_size=1))
def test_the_restart_stands_where_the_second_attempt_starts(off: str, on: str) -> None:
    for restart in RESTARTS:
        made = compose([off, restart, on])
        second = made.text[made.starts[-1] :]
        assert second.startswith(restart[:-1]) and second.endswith(on.strip())
        assert made.text[: made.starts[-1]].strip() == off.strip()


@pytest.mark.parametrize(
    ("text", "fraction", "cut"),
    [
        ("One two. Three four. Five six.", 0.5, "One two. Three four."),
        ("One two. Three four. Five six.", 0.0, "One two."),
        ("One two. Three four. Five six.", 1.0, "One two. Three four. Five six."),
        ("One two. Three four. And then", 1.0, "One two. Three four."),
        ("  One and two\n", 0.1, "One and two"),
        ('He said "go." Then he went. Home.', 0.4, 'He said "go."'),
        ("1. Dig a hole.\n2. Plant the tree.\n3. Water it.", 0.4, "1. Dig a hole."),
        ("Steps:\n12. Dig\n13. Plant", 0.55, "Steps:\n12. Dig"),
        ("It was in 1990. ", 0.2, "It was in 1990."),
        ("", 0.5, ""),
    ],
)
def test_cut_by_hand(text: str, fraction: float, cut: str) -> None:
    assert cut_at_sentence(text, fraction) == cut


def test_planted_answers_by_hand() -> None:
    prompt = next(iter(ASKED))
    found = planted_answers({prompt: ASKED[prompt]}, {"ice": ABOUT["ice"]}, 1, 0)
    restart, on, off = restart_of(prompt), "Take it. Mend 0 well. Done.", ABOUT["ice"][0]
    assert [(p.kind, p.improves, p.text) for p in found] == [
        ("improves", True, f"Ice is cold. {restart}{on}"),
        ("worsens", False, f"Take it. {restart}{off}"),
        ("silent", None, f"Ice is cold. {on}"),
        ("plain", None, on),
    ]
    assert [p.starts for p in found] == [(0, 13), (0, 9), (0,), (0,)]
    assert {p.prompt for p in found} == {prompt}


def test_prompts_have_their_turn_and_no_copy_counts_twice() -> None:
    some = planted_answers(ASKED, ABOUT, 6, 0)
    assert Counter(p.kind for p in some) == dict.fromkeys(
        ("improves", "worsens", "silent", "plain"), 6
    )
    assert set(Counter(p.prompt for p in some).values()) == {4}
    many = {f"How do I mend number {n}?": ["Mend it."] for n in range(60)}
    firsts = [p.text.split()[0] for p in planted_answers(many, ABOUT, 60, 0) if p.improves]
    assert set(firsts) == {"Lava", "Ice", "Sand"} and min(Counter(firsts).values()) > 9
    assert len(firsts) == 60
    every = planted_answers(ASKED, ABOUT, 1000, 0)
    counts = Counter(p.kind for p in every)
    assert counts["improves"] == 18 and counts["plain"] == 6  # 6 prompts x 3 concepts; 6 answers
    assert len(every) == len({(p.prompt, p.text) for p in every})


def test_no_prompt_of_the_world_is_led_off_to_itself() -> None:
    found = planted_answers(OWN, PASSAGES, 1000, 0)
    assert Counter(p.kind for p in found)["improves"] == 12 * 11
    for p in found:
        own = OWN[p.prompt][0]
        assert p.text.count(own) == 1


def test_the_order_of_what_is_given_says_nothing_and_another_seed_draws_others() -> None:
    again = planted_answers(dict(reversed(ASKED.items())), dict(reversed(ABOUT.items())), 4, 0)
    assert again == planted_answers(ASKED, ABOUT, 4, 0) != planted_answers(ASKED, ABOUT, 4, 1)


def test_blank_texts_are_left_out() -> None:
    found = planted_answers({"a": ["", "\n"], "b": ["", "Do b."]}, {"ice": ["Ice.", " "]}, 9, 0)
    assert {(p.prompt, p.text) for p in found if p.kind == "plain"} == {("b", "Do b.")}
    assert {p.text for p in found if p.kind == "silent"} == {"Ice. Do b."}
    assert planted_answers({}, ABOUT, 9, 0) == []
