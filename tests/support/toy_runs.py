"""Toy runs: what is an observer told, what must not differ, and what is a study of three models?"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from mahals.harness.workspace.fingerprint import fingerprint
from mahals.harness.workspace.paths import Workspace
from mahals.harness.workspace.results import Results
from mahals.harness.workspace.telling import is_told
from tests.support import toy_study as toy


def mark_of(workspace: Workspace, name: str, unit: str, **sets: Any) -> str:
    return fingerprint(workspace, toy.settings_of(workspace, **sets), name, unit)


class Watch:
    """An observer that keeps what it is told."""

    def __init__(self) -> None:
        self.tasks: list[tuple[str, str, int, int]] = []
        self.made: list[tuple[str, str]] = []
        self.failures: list[tuple[str, str, str]] = []
        self.shares: list[tuple[str, float, int]] = []

    def task_done(self, phase: str, unit: str, done: int, total: int, seconds: float) -> None:
        assert seconds >= 0
        self.tasks.append((phase, unit, done, total))

    def phase_done(self, results: Results) -> None:
        assert results.broken() is None and is_told(results)
        self.made.append((results.phase, results.unit))

    def failed(self, phase: str, unit: str, error: BaseException) -> None:
        self.failures.append((phase, unit, type(error).__name__))

    def tick(self) -> None:
        pass

    def under_way(self, phase: str, done: float, total: int) -> None:
        self.shares.append((phase, done, total))


def outputs(folder: Path) -> dict[str, bytes]:
    """Every file below results/ and data/ that must not differ between runs."""
    files = [*(folder / "results").rglob("*"), *(folder / "data").rglob("*")]
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in files
        if path.is_file() and path.name != "run.json"
    }


def three_models(root: Path, **follow: Any) -> Workspace:
    """Three models for two workers, and a phase that reads each model's own results of `grow`."""
    made = toy.make(root, models=["A", "B", "C"], study="toy", follow={"seconds": 0.0, **follow})
    return Workspace(made.root, package="tests.support.toy_phases", names=(*toy.NAMES, "follow"))


ONE_TASK = {"grow__tasks": 1, "grow__seconds": 2.0}
