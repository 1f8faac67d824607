"""Files: do they get to where they are told, whole, and is nothing lost in silence?"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from mahals.harness.workspace.files import (
    files_under,
    first_broken,
    link_files,
    sha256,
    sync,
    write_atomic,
)
from mahals.records import InputError
from tests.support.tiny_lab import refused

NAMES = ("one.txt", "a/two.txt", "a/b/three.txt")


@pytest.fixture
def source(tmp_path: Path) -> Path:
    for name in NAMES:
        (tmp_path / "source" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "source" / name).write_text(name)
    return tmp_path / "source"


def test_files_are_found_in_the_order_of_their_paths(source: Path) -> None:
    (source / "nowhere").symlink_to(source / "absent")
    (source / "empty").mkdir()
    wanted = sorted(path for path in source.rglob("*") if path.is_file())
    assert files_under(source) == wanted and len(wanted) == len(NAMES)
    assert files_under(source / "absent") == []


@pytest.mark.parametrize("what", ["scandir", "stat"])
def test_a_disk_that_fails_is_no_empty_folder(
    what: str, source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = getattr(os, what)

    def broken(path: Any, *more: Any, **named: Any) -> Any:
        if Path(os.fspath(path)).name in ("b", "three.txt"):
            raise OSError(5, "input/output error", str(path))
        return real(path, *more, **named)

    monkeypatch.setattr(os, what, broken)
    with pytest.raises(OSError, match="input/output error"):
        files_under(source)


def test_links_share_the_bytes(source: Path, tmp_path: Path) -> None:
    target = tmp_path / "target"
    target.mkdir()
    link_files(source, target, NAMES)
    assert [p.relative_to(target).as_posix() for p in files_under(target)] == sorted(
        NAMES, key=lambda name: Path(name).parts
    )
    for name in NAMES:
        assert (target / name).samefile(source / name)


def test_without_links_files_are_copied(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def other_device(*_: Any) -> None:
        raise OSError(18, "invalid cross-device link")

    monkeypatch.setattr(os, "link", other_device)
    link_files(source, tmp_path / "target", NAMES)
    for name in NAMES:
        assert (tmp_path / "target" / name).read_text() == name
        assert not (tmp_path / "target" / name).samefile(source / name)


def test_what_is_there_is_never_written_through(source: Path, tmp_path: Path) -> None:
    """A copy into a file that has other names would change it under all of them."""
    mine = tmp_path / "mine.txt"
    mine.write_text("mine")
    (tmp_path / "target").mkdir()
    os.link(mine, tmp_path / "target/one.txt")
    assert "target" in str(refused(lambda: link_files(source, tmp_path / "target", NAMES)))
    assert mine.read_text() == "mine"


def test_the_first_broken_file_is_named(source: Path) -> None:
    hashes = {name: sha256(source / name) for name in NAMES}
    assert first_broken(source, hashes) is None
    (source / "a/two.txt").write_text("other")
    assert first_broken(source, hashes) == "a/two.txt"
    (source / "one.txt").unlink()
    assert first_broken(source, hashes) == "one.txt"
    (source / "one.txt").mkdir()
    assert first_broken(source, hashes) == "one.txt"
    assert first_broken(source, {"one.txt/below": ""}) == "one.txt/below"
    assert first_broken(source, {"a/two.txt/below": ""}) == "a/two.txt/below"


def test_every_file_is_synced_and_what_fails_is_raised(
    source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, synced = os.fsync, list[str]()

    def watched(number: int) -> None:
        synced.append(os.readlink(f"/proc/self/fd/{number}"))
        real(number)

    monkeypatch.setattr(os, "fsync", watched)
    many = [source / name for name in NAMES] * 20
    sync(iter(many))
    assert sorted(synced) == sorted(str(path) for path in many)
    sync(nothing())
    with pytest.raises(FileNotFoundError):
        sync([*many, source / "absent"])


def nothing() -> Iterator[Path]:
    yield from ()


def test_a_write_is_whole_or_not_there(tmp_path: Path) -> None:
    write_atomic(tmp_path / "a/b.json", b"1")
    assert (tmp_path / "a/b.json").read_bytes() == b"1"
    assert [path.name for path in (tmp_path / "a").iterdir()] == ["b.json"]
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="can be written"):
        write_atomic(tmp_path / "file/b.json", b"1")
    assert first_broken(tmp_path / "a", {"b.json": "0" * 64}) == "b.json"
