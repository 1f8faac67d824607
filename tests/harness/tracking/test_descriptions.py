"""Descriptions: do they hold whole sentences and links that open, within what MLflow takes?"""

from __future__ import annotations

from mahals.harness.tracking.descriptions import (
    CHARACTERS,
    RunLink,
    headline_values,
    invocation_note,
    unit_note,
)
from mahals.harness.workspace.provenance import Provenance

OF = Provenance("organism", (0,), ("core-1 3f9a2c1d",), ("Mistral_7B", "Qwen2_7B"))


def test_a_note_holds_whole_sentences_and_says_how_many_are_left_out() -> None:
    lines = [f"Sentence {i} is {'very ' * 20}long." for i in range(100)]
    note = unit_note(OF, lines)
    first, *shown, last = note.split("\n\n")
    assert first == f"*{OF.line}*"
    assert shown == lines[: len(shown)] and 0 < len(shown) < 100
    assert last == f"{100 - len(shown)} more sentences: artifact `report.md`"
    assert CHARACTERS - 300 < len(note) < 5000
    assert unit_note(None, ["One."]) == "One."


def test_an_invocation_names_what_was_run_and_links_its_runs() -> None:
    links = [
        RunLink("same_arch", "Qwen2_7B", "3", "abc"),
        RunLink("same_arch", "study", "3", "def"),
    ]
    note = invocation_note(OF, links, ["The best is best."], "#/experiments/1/runs?x")
    assert note.split("\n\n") == [
        f"**Measured: same_arch; on {OF.line}; models Mistral_7B, Qwen2_7B.**",
        "The best is best.",
        "[The leaderboard, ranked](#/experiments/1/runs?x)",
        "* same_arch: [Qwen2_7B](#/experiments/3/runs/abc), [study](#/experiments/3/runs/def)",
    ]
    assert invocation_note(None, [], [], None) == "**Measured: nothing yet.**"
    many = [RunLink(f"phase{i}", "study", "3", "f" * 32) for i in range(200)]
    assert len(invocation_note(OF, many, [], None)) < 5000


def test_headlines_are_taken_in_order_while_there_is_room() -> None:
    sources = [{"a": 1.0, "b": 2.0}, {"a": 9.0, "c": 3.0, "d": 4.0}]
    assert headline_values(sources, taken=27, limit=30) == {"a": 1.0, "b": 2.0, "c": 3.0}
    assert headline_values(sources, taken=30, limit=30) == {}
