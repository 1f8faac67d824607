"""Places: where does a checkpoint of the registry lie here, which bytes is it, how does it come?"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mahals.models.checkpoints.config_facts import ConfigFacts, facts_of_config
from mahals.models.checkpoints.gguf_header import read_header
from mahals.models.checkpoints.hub import (
    cached_config,
    cached_folder,
    commit_of,
    has_weights,
    hub_folder,
)
from mahals.models.checkpoints.own import own_checkpoint
from mahals.models.checkpoints.pins import Pins
from mahals.models.checkpoints.registry import FolderRef, HubRef, PackageRef, Ref
from mahals.records import InputError

PINS = "pins.json"


@dataclass(frozen=True)
class Place:
    """A checkpoint that is here."""

    folder: Path  # of safetensors, config and tokenizer
    revision: str  # commit of the hub, or SHA-256 of weights or file and what its numbers are


@dataclass(frozen=True)
class Places:
    """Where checkpoints are looked for and kept."""

    root: Path  # of the project: relative paths begin here
    store: Path  # read from GGUF files, one folder each
    hub: Path | None  # the hub's cache, or the user's own

    def local(self, ref: Ref) -> Path | None:
        """The folder of a checkpoint that is ready to be loaded; None where it is yet to come.

        Raises InputError, with the reason, for a path of one's own that holds no checkpoint.
        """
        if isinstance(ref, HubRef):
            return cached_folder(ref, self.hub)
        if isinstance(ref, PackageRef):
            return self._kept(Path(ref.file).stem, ref.sha256)
        own = self._own(ref)
        return own if own.is_dir() else self._kept(own.stem, self._pins.of_file(own))

    def place(self, ref: Ref) -> Place:
        """A checkpoint, fetched and read from its file where that is to be done.

        Raises InputError, one line, where it cannot be had.
        """
        if isinstance(ref, HubRef):
            folder = hub_folder(ref, self.hub)
            return Place(folder, folder.name)
        folder = self.local(ref) or self._made(ref)
        weights = self.weights(ref)
        return Place(folder, self.revision(ref) + (f" ({weights})" if weights else ""))

    def revision(self, ref: Ref) -> str:
        """Which bytes: commit of the hub, SHA-256 of a folder's weights or of a GGUF file."""
        if isinstance(ref, HubRef):
            return commit_of(ref, self.hub)
        if isinstance(ref, PackageRef):
            return ref.sha256
        own = self._own(ref)
        return self._pins.of_weights(own) if own.is_dir() else self._pins.of_file(own)

    def mark(self, ref: Ref) -> dict[str, Any]:
        """What stands for a checkpoint in a fingerprint; not the folder it lies in.

        Of a GGUF file also what it is read by: that makes its numbers and its tokenizer.
        """
        if isinstance(ref, HubRef):
            return {"id": ref.id, "revision": self.revision(ref)}
        if isinstance(ref, FolderRef) and (own := self._own(ref)).is_dir():
            return {"weights": self.revision(ref), "texts": self._pins.of_texts(own)}
        from mahals.models.checkpoints.gguf import reader

        return {"gguf": self.revision(ref), "reader": reader()}

    def facts(self, ref: Ref) -> ConfigFacts | None:
        """Family, depth and width; None where neither config nor file is here."""
        if isinstance(ref, HubRef):
            found = cached_config(ref, self.hub)
            return None if found is None else _facts(found)
        folder = self.local(ref)
        if folder is not None:
            return _facts(folder / "config.json")
        own = self._own(ref) if isinstance(ref, FolderRef) else None
        return None if own is None else read_header(own).facts

    def weights(self, ref: Ref) -> str:
        """What the numbers are, in words; empty where they are as they were published."""
        folder = None if isinstance(ref, HubRef) else self.local(ref)
        origin = None if folder is None else folder / "origin.json"
        if origin is None or not origin.is_file():
            return ""
        return str(json.loads(origin.read_text(encoding="utf-8"))["weights"])

    def provenance(self, ref: Ref) -> dict[str, str]:
        """What run.json says of a checkpoint: from where, which bytes, what its numbers are."""
        weights = self.weights(ref) or "as published"
        return {"from": self.said(ref), "revision": self.revision(ref), "weights": weights}

    def said(self, ref: Ref) -> str:
        """Where a checkpoint comes from, in words."""
        if isinstance(ref, HubRef):
            return f"hub {ref.id}"
        if isinstance(ref, PackageRef):
            return f"package {ref.name} {ref.version}"
        return f"path {ref.path}"

    @property
    def _pins(self) -> Pins:
        return Pins(self.store / PINS)

    def _own(self, ref: FolderRef) -> Path:
        return own_checkpoint(self.root / Path(ref.path).expanduser())

    def _kept(self, stem: str, sha256: str) -> Path | None:
        folder = self._folder(stem, sha256)
        return folder if _is_current(folder) else None

    def _folder(self, stem: str, sha256: str) -> Path:
        return self.store / f"{stem}-{sha256[:16]}"

    def _made(self, ref: FolderRef | PackageRef) -> Path:
        """A folder of safetensors read from a GGUF file, by one process at a time."""
        from mahals.models.checkpoints.gguf import convert
        from mahals.models.checkpoints.packages import unpacked

        named = self._own(ref) if isinstance(ref, FolderRef) else Path(ref.file)
        sha256 = self.revision(ref)
        folder = self._folder(named.stem, sha256)
        with _drafting(folder) as draft:
            if draft is None:
                return folder
            if isinstance(ref, FolderRef):
                convert(named, sha256, draft)
                return folder
            file = unpacked(ref, self.store, draft)
            convert(file, sha256, draft)
            file.unlink()
        return folder


@contextmanager
def _drafting(folder: Path) -> Iterator[Path | None]:
    """A draft that becomes `folder` when the block ends well; None where it is made already."""
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        lock = (folder.parent / f".{folder.name}.lock").open("w")
    except OSError as error:
        raise InputError(
            str(folder.parent),
            expected="a folder that can be written",
            got=error.strerror or str(error),
            cure="free it, or correct its permissions",
        ) from error
    with lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if _is_current(folder):
            yield None
            return
        draft = Path(tempfile.mkdtemp(prefix=".draft-", dir=folder.parent))
        try:
            yield draft
            shutil.rmtree(folder, ignore_errors=True)
            os.replace(draft, folder)
        finally:
            shutil.rmtree(draft, ignore_errors=True)


def _is_current(folder: Path) -> bool:
    """Whether a folder read from a GGUF file is whole, and read as it would be read now."""
    from mahals.models.checkpoints.gguf import is_made_here

    return has_weights(folder) and is_made_here(folder)


def _facts(config: Path) -> ConfigFacts:
    try:
        read: dict[str, Any] = json.loads(config.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(
            str(config), expected="a readable config.json", got=str(error), cure="download it again"
        ) from error
    return facts_of_config(read, str(config))
