"""Paths: which folder is the project, and where in it do things lie?"""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from pathlib import Path

from mahals.phase import Phase
from mahals.phases.registry import PHASES
from mahals.records import InputError, unknown


@dataclass(frozen=True)
class Workspace:
    """A project folder. `package` and `names` say where its phases come from, upstream first."""

    root: Path
    package: str = "mahals.phases"
    names: tuple[str, ...] = PHASES

    @classmethod
    def locate(cls, start: Path | None = None) -> Workspace:
        """The workspace at `start` (default: the current folder) or above it.

        Raises InputError when no folder up to the top has params.yaml and benchmarks/models.yaml.
        """
        begin = (start or Path.cwd()).resolve()
        for folder in (begin, *begin.parents):
            if (folder / "params.yaml").is_file() and (folder / "benchmarks/models.yaml").is_file():
                return cls(folder)
        raise InputError(
            "workspace",
            expected="a folder with params.yaml and benchmarks/models.yaml, here or above",
            got=str(begin),
            cure="change into a clone of the project",
        )

    @property
    def params_file(self) -> Path:
        """The one home of values."""
        return self.root / "params.yaml"

    @property
    def registry_file(self) -> Path:
        """The models that may be measured."""
        return self.root / "benchmarks" / "models.yaml"

    @property
    def results(self) -> Path:
        """Canonical results: made with the values of params.yaml as they stand."""
        return self.root / "results"

    @property
    def runs(self) -> Path:
        """Results made with any other values, one folder per fingerprint."""
        return self.root / ".mahals" / "runs"

    @property
    def journals(self) -> Path:
        """What unfinished units have measured so far, one folder per fingerprint."""
        return self.root / ".mahals" / "journal"

    @property
    def cache(self) -> Path:
        """What was read before, and is never trusted without its fingerprint."""
        return self.root / ".mahals" / "cache"

    @property
    def checkpoints(self) -> Path:
        """Real checkpoints read from GGUF files, one folder of safetensors each."""
        return self.root / ".mahals" / "checkpoints"

    def phase(self, name: str) -> Phase:
        """The phase of that name; its module is imported only now. InputError if unknown."""
        if name not in self.names:
            raise unknown("phase", name, self.names)
        phase: Phase = importlib.import_module(f"{self.package}.{name}").PHASE
        return phase

    def overlay_file(self, name: str) -> Path:
        """The file laid over params.yaml by `overlay: name`. InputError if there is none."""
        path = self.root / "benchmarks" / f"{name}.yaml"
        if not path.is_file() or path == self.registry_file:
            known = sorted(p.stem for p in path.parent.glob("*.yaml") if p != self.registry_file)
            raise unknown("overlay", name, ["none", *known])
        return path

    def file(self, named: str) -> Path:
        """The local file that a value names: a relative path begins at the root, ~ is the home."""
        try:
            return self.root / Path(named).expanduser()
        except RuntimeError:  # ~ and no such user
            return self.root / named

    def relative(self, path: Path) -> str:
        """`path` as seen from the root, for messages and records."""
        return (
            path.relative_to(self.root).as_posix() if path.is_relative_to(self.root) else str(path)
        )
