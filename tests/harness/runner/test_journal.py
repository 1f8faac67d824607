"""Journal: is a task that was torn, altered or lost no task, and a journal one process's?"""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from mahals.harness.runner.journal import Done, Journal, read_line
from mahals.records import InputError
from tests.support import toy_study as toy


def test_a_torn_or_altered_journal_line_is_no_task(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "j", "toy")
    journal.open()
    first = Done("a" * 64, ('{"x":1}',), {}, 0.5, (2048,), 1)
    second = Done("b" * 64, ('{"x":2}',), {}, 0.5, (2048,), 1)
    journal.append(first)
    journal.append(second)
    journal.close()
    body = journal.place.lines.read_bytes()
    assert [read_line(line) for line in body.splitlines()] == [first, second]
    for cut in range(len(first.line()), len(body) - 1, 9):
        journal.place.lines.write_bytes(body[:cut])
        again = Journal(tmp_path / "j", "toy")
        again.open()
        assert again.done == {first.task: first}
        again.close()
        assert again.place.lines.read_bytes() == first.line()
    journal.place.lines.write_bytes(body.replace(b'"x\\":1', b'"x\\":3'))
    again.open()
    assert list(again.done) == [second.task]
    again.close()


def test_a_journal_entry_whose_kept_file_changed_is_measured_again(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "j", "toy")
    journal.open()
    journal.place.kept.mkdir()
    (journal.place.kept / "k.txt").write_text("kept")
    from hashlib import sha256

    entry = Done("a" * 64, (), {"k.txt": sha256(b"kept").hexdigest()}, 0.1, (), 0)
    journal.append(entry)
    assert journal.missing([entry.task]) == []
    journal.close()
    (journal.place.kept / "k.txt").write_text("changed")
    journal.open()
    assert journal.missing([entry.task]) == [0]
    journal.close()


def test_two_processes_cannot_measure_the_same(tmp_path: Path) -> None:
    workspace = toy.make(tmp_path)
    toy.run(workspace, "words")
    first = toy.start(tmp_path, "grow", 1, grow__seconds=20.0)
    try:
        locks = tmp_path / ".mahals/journal"
        deadline = time.monotonic() + 60
        while len(list(locks.glob("*.lock"))) < 2 and time.monotonic() < deadline:
            time.sleep(0.05)
        with pytest.raises(InputError, match=f"process {first.pid} at work"):
            toy.run(workspace, "grow", grow__seconds=20.0)
    finally:
        first.kill()
        first.wait()
    assert len(list(locks.glob("*.lock"))) == 2  # left behind, and no hindrance
    journal = Journal(next(locks.glob("*.lock")).with_suffix(""), "toy")
    journal.open()
    journal.close()
