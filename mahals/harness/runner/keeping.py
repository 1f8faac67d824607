"""Keeping: how does a file or folder that a task makes become whole under kept/, or nothing?"""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path

from mahals.harness.runner.journal import JournalPlace
from mahals.harness.workspace.files import files_under, make_folder, remove, sha256, writing


@dataclass
class Staged:
    """What the task at hand has kept so far: path below kept/ -> SHA-256."""

    task: str
    hashes: dict[str, str] = field(default_factory=dict)


class Keeping:
    """A file or folder being made; whole under kept/ when the block ends well, nowhere otherwise.

    Nothing is synced here: the journal holds the hashes, and a task whose files are not what they
    say after a crash of the machine is measured again.
    """

    def __init__(
        self, journal: JournalPlace, staged: Staged, reference: str, *, folder: bool
    ) -> None:
        self.reference = reference
        self._journal, self._staged, self._is_folder = journal, staged, folder
        self._name = reference.partition("/")[2]
        self._draft = journal.staging / f"{staged.task[:16]}-{os.getpid()}" / self._name

    def __enter__(self) -> Path:
        if any(path.partition("/")[0] == self._name for path in self._staged.hashes):
            raise ValueError(f"{self._name!r} is kept twice by one task")
        remove(self._draft)
        make_folder(self._draft if self._is_folder else self._draft.parent)
        return self._draft

    def __exit__(self, *details: object) -> None:
        if details[0] is not None:
            remove(self._draft)
            return
        target = self._journal.kept / self._name
        with writing(target):
            hashes = _hashes(self._draft, self._name)
            make_folder(target.parent)
            remove(target)
            os.replace(self._draft, target)
        self._staged.hashes.update(hashes)


def _hashes(source: Path, name: str) -> dict[str, str]:
    """The hash of a file, or those of a folder's files, by their path below kept/."""
    if source.is_file():
        return {name: sha256(source)}
    files = files_under(source)
    return {f"{name}/{path.relative_to(source).as_posix()}": sha256(path) for path in files}
