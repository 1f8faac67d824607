"""Cache of states: which blocks are read and which files lie in it."""

from __future__ import annotations

from pathlib import Path

from mahals.phase import StatesPlace
from tests.support.tiny_models import LAYERS

EVERY = list(range(LAYERS))


def files(cache: StatesPlace) -> list[Path]:
    return sorted(cache.folder.glob("*"), key=lambda path: path.stat().st_mtime_ns)
