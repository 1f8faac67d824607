"""Whole files: how does a file come to lie on disk whole or not at all, and what is its hash?"""

from __future__ import annotations

import hashlib
import os
import shutil
import stat
from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import NoReturn

from mahals.records import InputError

SYNCED_AT_ONCE = 16  # files


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Turns what the file system refuses inside the block into one clear line about `path`."""
    try:
        yield
    except OSError as error:
        raise InputError(
            str(error.filename or path),
            expected="a place that can be written",
            got=error.strerror or str(error),
            cure=f"free it, or correct its permissions, for {path}",
        ) from error


def make_folder(path: Path) -> Path:
    """`path` as an existing folder that can be written. Raises InputError otherwise."""
    with writing(path):
        path.mkdir(parents=True, exist_ok=True)
        if not os.access(path, os.W_OK):
            raise PermissionError(13, "permission denied", str(path))
    return path


def remove_if_empty(path: Path) -> None:
    """Removes the folder `path`, and those above it, as far as they hold nothing."""
    with writing(path):
        while path.is_dir() and not any(path.iterdir()):
            path.rmdir()
            path = path.parent


def write_atomic(path: Path, body: bytes) -> None:
    """Writes `body` to `path`: after a kill the file is the old one or the new one."""
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        draft = path.with_name(f".{path.name}.tmp")
        try:
            with draft.open("wb") as file:
                file.write(body)
                file.flush()
                os.fsync(file.fileno())
            os.replace(draft, path)
        except OSError:
            draft.unlink(missing_ok=True)
            raise


def sync(paths: Iterable[Path]) -> None:
    """Returns when all these files are on disk.

    Many are asked for at a time: the file system commits at once what waits together.
    """

    def share(some: Sequence[Path]) -> None:
        for path in some:
            with open(path, "rb", buffering=0) as file:
                os.fsync(file.fileno())

    every = list(paths)
    shares = [every[start::SYNCED_AT_ONCE] for start in range(min(SYNCED_AT_ONCE, len(every)))]
    with ThreadPoolExecutor(SYNCED_AT_ONCE) as pool:
        deque(pool.map(share, shares), maxlen=0)


def replace_folder(source: Path, target: Path) -> None:
    """Puts the folder `source` where `target` is; what was there goes."""
    with writing(target):
        old = target.with_name(f".{target.name}.old")
        remove(old)
        if target.exists():
            os.replace(target, old)
        os.replace(source, target)
        remove(old)


def copy_tree(source: Path, target: Path) -> None:
    """Copies a file or folder, by hard link where the file system can."""
    with writing(target):
        target.parent.mkdir(parents=True, exist_ok=True)
        remove(target)
        if source.is_dir():
            shutil.copytree(source, target, copy_function=_link)
        else:
            _link(source, target)


def link_files(source: Path, target: Path, names: Iterable[str]) -> None:
    """Copies the files `names` (paths below `source`) into the empty folder `target`.

    By hard link where the file system can. Raises InputError where it cannot be written.
    """
    with writing(target):
        made = set[str]()
        for name in names:
            above = name.rpartition("/")[0]
            if above not in made:
                (target / above).mkdir(parents=True, exist_ok=True)
                made.add(above)
            _link(f"{source}/{name}", f"{target}/{name}")


def _link(one: str | Path, other: str | Path) -> None:
    try:
        os.link(one, other)
    except FileExistsError:
        raise  # a copy would write into what other names have too
    except OSError:
        shutil.copy2(one, other)


def remove(path: Path) -> None:
    """Removes a file or folder if it is there."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def files_under(folder: Path) -> list[Path]:
    """The files in a folder and below, sorted by their path; none if it does not exist."""
    if not folder.exists():
        return []
    walked = os.walk(folder, onerror=_raise)
    found = (os.path.join(at, name) for at, _, names in walked for name in names)
    return sorted(Path(path) for path in found if _is_file(path))


def _is_file(path: str) -> bool:
    """As os.path.isfile, which calls a file that cannot be read no file."""
    try:
        return stat.S_ISREG(os.stat(path).st_mode)
    except FileNotFoundError:  # a link to nothing
        return False


def _raise(error: OSError) -> NoReturn:
    raise error


def sha256(path: Path | str) -> str:
    """SHA-256 of a file's bytes; remembered as long as its size and time of change stand."""
    facts = os.stat(path)
    return _sha256(str(path), facts.st_size, facts.st_mtime_ns, facts.st_ino)


@lru_cache(maxsize=4096)
def _sha256(path: str, size: int, changed: int, inode: int) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def first_broken(folder: Path, hashes: Mapping[str, str]) -> str | None:
    """The first file of `hashes` (path below `folder` -> SHA-256) that is absent or differs."""
    for name, expected in hashes.items():
        try:
            found = sha256(f"{folder}/{name}")
        except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
            return name
        if found != expected:
            return name
    return None
