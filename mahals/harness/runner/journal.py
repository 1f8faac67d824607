"""Journal: what has an unfinished unit measured so far, safe from a kill at any moment?"""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from mahals.harness.workspace.files import first_broken, make_folder, remove, write_atomic, writing
from mahals.kernels import Kernels
from mahals.records import InputError, digest, from_plain, to_plain


@dataclass(frozen=True)
class Done:
    """A measured task: its digest, its rows as lines of JSON, its kept files with their hashes.

    `budgets`: padded tokens its batches were planned for; `halved`: how many did not fit.
    `kernels`: what its process computed with.
    """

    task: str
    rows: tuple[str, ...]
    kept: dict[str, str]
    seconds: float
    budgets: tuple[int, ...]
    halved: int
    kernels: Kernels | None = None
    peak: int | None = None  # bytes that its process had held at most, when it ended

    def line(self) -> bytes:
        """The journal's line, with a checksum of its own."""
        body: Any = to_plain(self)
        return json.dumps({**body, "check": digest(body)}).encode() + b"\n"


def read_line(line: bytes) -> Done | None:
    """A journal line; None when it is torn or altered."""
    try:
        data: dict[str, Any] = json.loads(line)
        check = data.pop("check")
    except (ValueError, KeyError, AttributeError, TypeError):
        return None
    if check != digest(data):
        return None
    return from_plain(Done, data, "journal line")


@dataclass(frozen=True)
class JournalPlace:
    """The folders of a journal; workers stage kept files here."""

    folder: Path

    @property
    def lines(self) -> Path:
        """One line per measured task."""
        return self.folder / "rows.jsonl"

    @property
    def kept(self) -> Path:
        """Kept files of measured tasks, and perhaps of one that was killed."""
        return self.folder / "kept"

    @property
    def staging(self) -> Path:
        """Kept files that are being written."""
        return self.folder / "staging"

    def scratch(self, task: str) -> Path:
        """What a killed task takes up again."""
        return self.folder / "scratch" / task

    def read(self) -> dict[str, Done]:
        """The measured tasks by digest; torn lines are no tasks."""
        if not self.lines.is_file():
            return {}
        entries = map(read_line, self.lines.read_bytes().splitlines())
        return {entry.task: entry for entry in entries if entry is not None}


class Journal:
    """The journal of one unit, held by one process at a time."""

    def __init__(self, folder: Path, label: str) -> None:
        self.place, self._label = JournalPlace(folder), label
        self._lock: IO[str] | None = None
        self.done: dict[str, Done] = {}
        self._kept: set[str] = set()  # names that tasks of `done` kept

    def open(self) -> None:
        """Takes the lock and reads what is there. Raises InputError when another process has it."""
        make_folder(self.place.folder.parent)
        self._take_lock()
        make_folder(self.place.folder)
        found = self.place.read()
        self.done = {
            key: entry
            for key, entry in found.items()
            if first_broken(self.place.kept, entry.kept) is None
        }
        self._kept = {name for entry in self.done.values() for name in entry.kept}
        whole = b"".join(entry.line() for entry in self.done.values())
        if self.place.lines.is_file() and self.place.lines.read_bytes() != whole:
            write_atomic(self.place.lines, whole)
        remove(self.place.staging)

    def append(self, entry: Done) -> None:
        """Adds a task: one write, on disk when this returns. Its scratch folder goes.

        Raises ValueError when another task kept a file of the same name.
        """
        if twice := sorted(self._kept & set(entry.kept)):
            raise ValueError(f"{self._label}: {twice[0]!r} is kept by two tasks")
        with writing(self.place.lines):
            handle = os.open(self.place.lines, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
            try:
                body = entry.line()
                if os.write(handle, body) != len(body):
                    raise OSError(28, "no space left", str(self.place.lines))
                os.fsync(handle)
            finally:
                os.close(handle)
        self.done[entry.task] = entry
        self._kept.update(entry.kept)
        remove(self.place.scratch(entry.task))

    def missing(self, order: Sequence[str]) -> list[int]:
        """Which tasks of the plan, by position, are not measured yet."""
        return [i for i, task in enumerate(order) if task not in self.done]

    def discard(self) -> None:
        """Removes the journal of a unit that is finished."""
        remove(self.place.folder)

    def close(self) -> None:
        """Gives the lock back; the journal stays."""
        if self._lock is not None:
            Path(self._lock.name).unlink(missing_ok=True)
            self._lock.close()
            self._lock = None

    def _take_lock(self) -> None:
        path = self.place.folder.with_suffix(".lock")
        while self._lock is None:
            with writing(path):
                handle = path.open("a+", encoding="utf-8")
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                handle.seek(0)
                holder = handle.read().strip() or "unknown"
                handle.close()
                raise InputError(
                    f"journal of {self._label}",
                    expected="no other process that measures the same",
                    got=f"process {holder} at work on it",
                    cure="wait until it ends, or stop it",
                ) from error
            # The holder before may have removed the file between our open and our lock.
            if path.exists() and os.path.samestat(path.stat(), os.fstat(handle.fileno())):
                handle.truncate(0)
                handle.write(str(os.getpid()))
                handle.flush()
                self._lock = handle
            else:
                handle.close()
