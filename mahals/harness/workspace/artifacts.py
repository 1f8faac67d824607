"""Artifacts: where do the kept files of a phase's units lie, and are they still what was kept?"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from mahals.harness.workspace.files import first_broken
from mahals.records import InputError, unknown

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True)
class KeptPlace:
    """The kept files of one unit: their folder, and SHA-256 by path below it."""

    folder: Path
    hashes: Mapping[str, str]

    def under(self, name: str) -> dict[str, str]:
        """The hashes of the file `name`, or of all files of the folder `name`."""
        if name in self.hashes:
            return {name: self.hashes[name]}
        first, last = (
            bisect_left(self._paths, name + end) for end in ("/", "0")
        )  # "0" follows "/"
        return {path: self.hashes[path] for path in self._paths[first:last]}

    @cached_property
    def _paths(self) -> list[str]:
        return sorted(self.hashes)


class KeptFiles:
    """`Kept` over the units of one phase; a file is checked against its hash when asked for."""

    def __init__(self, phase: str, places: Mapping[str, KeptPlace]) -> None:
        self._phase, self._places = phase, dict(places)

    def path(self, reference: str) -> Path:
        """Where `<unit>/<name>` lies. Raises InputError when it is missing or its hash differs."""
        unit, _, name = reference.partition("/")
        if unit not in self._places:
            raise unknown(f"unit of {self._phase}", unit, self._places)
        place = self._places[unit]
        hashes = place.under(name)
        broken = first_broken(place.folder, hashes) if hashes else name
        if broken is not None:
            path = place.folder / broken
            raise InputError(
                f"kept file {self._phase}:{unit}/{broken}",
                expected="the bytes that were kept",
                got="other bytes" if path.is_file() else "no file",
                cure=f"delete {place.folder.parent / 'run.json'} and run {self._phase} again",
            )
        return place.folder / name

    def tensors(self, reference: str) -> dict[str, torch.Tensor]:
        """The tensors of a kept safetensors file. Raises InputError when it cannot be read."""
        from safetensors import SafetensorError
        from safetensors.torch import load_file

        path = self.path(reference)
        try:
            tensors: dict[str, torch.Tensor] = load_file(path)
        except SafetensorError as error:
            raise InputError(
                f"kept file {self._phase}:{reference}",
                expected="a safetensors file",
                got=str(error),
                cure=f"delete it and run {self._phase} again",
            ) from error
        return tensors
