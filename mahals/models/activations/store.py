"""Byte-limited file cache: which files stay, which leave first?"""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Protocol

from mahals.records import InputError

MARK, SUM = "fingerprint", "sha256"  # in each file: its own name, the hash of what it holds
ABSENT = (FileNotFoundError, NotADirectoryError, PermissionError)  # of a file: not there for us
DRAFT, ABANDONED = ".draft", 3600.0  # seconds after which nobody writes to a draft any more


class CacheFolder(Protocol):
    """Where files are kept, and how many bytes all of them may take; 0 keeps none."""

    @property
    def folder(self) -> Path: ...

    @property
    def limit(self) -> int: ...


def check(cache: CacheFolder) -> None:
    """To be asked before dear work. Raises InputError where its outcome could not be kept."""
    with _writing(cache):
        cache.folder.mkdir(parents=True, exist_ok=True)
        if not os.access(cache.folder, os.W_OK):
            raise PermissionError(13, "permission denied")


def keep(cache: CacheFolder, bodies: Mapping[str, bytes]) -> None:
    """Writes each body under its name, whole or not at all; makes room for all of them first.

    Nothing is kept when together they are larger than the limit. Several processes at once may go
    beyond it by what each of them writes. Raises InputError where the folder cannot be written.
    """
    size = sum(len(body) for body in bodies.values())
    if size > cache.limit:
        return
    with _writing(cache):
        cache.folder.mkdir(parents=True, exist_ok=True)
        _make_room(cache, size)
        for name, body in bodies.items():
            _write(cache.folder / name, body)


@contextmanager
def _writing(cache: CacheFolder) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise InputError(
            f"cache {cache.folder}",
            expected="a folder that can be written",
            got=error.strerror or str(error),
            cure="free the disk or correct its rights, or set cache_gb to 0",
        ) from error


def _write(file: Path, body: bytes) -> None:
    number, draft = tempfile.mkstemp(dir=file.parent, suffix=DRAFT)
    try:
        with open(number, "wb") as opened:
            opened.write(body)
        os.replace(draft, file)
    except BaseException:
        Path(draft).unlink(missing_ok=True)
        raise


def _make_room(cache: CacheFolder, size: int) -> None:
    """Removes files, the longest unused first, until `size` more bytes are in the limit.

    Also what a killed process left half written. Other processes may do the same at the same time:
    a file may be gone.
    """
    known = []
    for path in cache.folder.iterdir():
        try:
            facts = path.stat()
        except FileNotFoundError:
            continue
        if path.suffix == DRAFT and time.time() - facts.st_mtime < ABANDONED:
            continue
        used = 0 if path.suffix == DRAFT else facts.st_mtime_ns
        known.append((used, facts.st_size, path))
    held = sum(each for _, each, _ in known)
    for used, each, path in sorted(known):
        if used and held + size <= cache.limit:
            break
        path.unlink(missing_ok=True)
        held -= each


def used_now(file: Path) -> None:
    """The file was asked for: it is not the next to leave."""
    with suppress(OSError):  # another user's file, or just removed: it is only not the latest
        os.utime(file)
