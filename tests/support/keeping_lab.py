"""Keeping lab: a tiny lab whose kept folders and scratch lie on a disk."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.support.tiny_lab import TinyLab


@dataclass
class KeepingLab(TinyLab):
    """A tiny lab with a disk."""

    root: Path = Path()
    said: list[str] = field(default_factory=list)

    def scratch(self, task: Any) -> Path:
        return self.root / "scratch"

    def keep_folder(self, name: str) -> Any:
        return _Keeping(f"{self.unit}/{name}", self.root / "kept" / self.unit / name)

    def report(self, what: str, done: int, total: int) -> None:
        self.said.append(what)


@dataclass
class _Keeping:
    reference: str
    folder: Path

    def __enter__(self) -> Path:
        self.folder.mkdir(parents=True)
        return self.folder

    def __exit__(self, *details: object) -> None: ...
