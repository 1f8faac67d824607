"""Is what was planted said of organisms, and of organisms alone?"""

from __future__ import annotations

from types import SimpleNamespace

from mahals.reporting.planted import planted_lines


def test_the_sentence_is_said_once_and_of_organisms_alone() -> None:
    organism, hub = SimpleNamespace(weights="organism"), SimpleNamespace(weights="hub")
    assert planted_lines("it was taught", [organism, organism]) == ("it was taught",)
    assert planted_lines("it was taught", [hub]) == planted_lines("it was taught", []) == ()
    assert planted_lines("it was taught", [hub, organism]) == ("it was taught",)
