"""Usage: is all that was used noted once, inside a recording alone?"""

from __future__ import annotations

import threading

import pytest

from mahals.usage import PROCESSES, Usage, note, note_budget, note_halved, recording, sharing


def test_a_recording_sees_what_happens_inside_it_alone() -> None:
    note_budget(1)
    with recording() as used:
        note_budget(64)
        note_budget(64)
        note_halved()
    note_budget(2)
    note_halved()
    assert used == Usage({64}, 1)


def test_an_inner_recording_is_its_own_until_it_is_noted() -> None:
    with recording() as outer:
        note_budget(8)
        with recording() as inner:
            note_budget(16)
            note_halved()
            note_halved()
        assert (inner, outer) == (Usage({16}, 2), Usage({8}, 0))
        note(inner)
    assert outer == Usage({8, 16}, 2)


def test_an_error_ends_the_recording_and_a_thread_has_none() -> None:
    with recording() as outer:
        with pytest.raises(ZeroDivisionError), recording():
            raise ZeroDivisionError
        thread = threading.Thread(target=note_budget, args=(4,))
        thread.start()
        thread.join()
        note_budget(32)
    assert outer == Usage({32}, 0)


def test_memory_is_shared_by_as_many_processes_as_the_pool_says(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv(PROCESSES, raising=False)
    assert sharing() == 1
    monkeypatch.setenv(PROCESSES, "6")
    assert sharing() == 6
