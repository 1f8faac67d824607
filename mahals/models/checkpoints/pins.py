"""Pins: which bytes is a checkpoint of one's own, so that a result can say so?"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

_TEXTS = ("*.json", "*.jinja", "*.model", "*.txt")


@dataclass(frozen=True)
class Pins:
    """Hashes of files, remembered in a file as long as size and time of change stand."""

    memory: Path  # a JSON file; it need not exist

    def of_file(self, path: Path) -> str:
        """SHA-256 of a file's bytes."""
        return self._remembered(str(path.resolve()), [path], _file_digest)

    def of_weights(self, folder: Path) -> str:
        """SHA-256 over the names and bytes of a folder's safetensors, in order of name."""
        files = sorted(folder.glob("*.safetensors"))
        return self._remembered(f"{folder.resolve()}#weights", files, named_digest)

    def of_texts(self, folder: Path) -> str:
        """The same of config, tokenizer and chat template."""
        files = sorted({path for form in _TEXTS for path in folder.glob(form)})
        return self._remembered(f"{folder.resolve()}#texts", files, named_digest)

    def _remembered(self, name: str, files: list[Path], hashed: Callable[[list[Path]], str]) -> str:
        stand = [[path.name, path.stat().st_size, path.stat().st_mtime_ns] for path in files]
        known = self._read()
        if name in known and known[name][0] == stand:
            return str(known[name][1])
        found = hashed(files)
        self._write({**self._read(), name: [stand, found]})
        return found

    def _read(self) -> dict[str, list[object]]:
        try:
            read: dict[str, list[object]] = json.loads(self.memory.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return {}
        return read

    def _write(self, known: dict[str, list[object]]) -> None:
        draft = self.memory.with_name(f".{self.memory.name}.{os.getpid()}")
        try:
            self.memory.parent.mkdir(parents=True, exist_ok=True)
            draft.write_text(json.dumps(known), encoding="utf-8")
            os.replace(draft, self.memory)
        except OSError:  # a folder that cannot be written: hashed again next time
            draft.unlink(missing_ok=True)


def named_digest(files: Iterable[Path]) -> str:
    """SHA-256 over the names and bytes of files, in the order given."""
    hashed = hashlib.sha256()
    for path in files:
        hashed.update(path.name.encode() + b"\0")
        with path.open("rb") as file:
            while chunk := file.read(1 << 22):
                hashed.update(chunk)
    return hashed.hexdigest()


def _file_digest(files: Iterable[Path]) -> str:
    (path,) = files
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
