"""Numbers: what do the files of stored results say, wherever they lie and however few are there?

A clone has metrics.json alone; the other files of results come with `dvc pull`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mahals.harness.workspace.paths import Workspace
from mahals.harness.workspace.results import all_results
from mahals.maths.stats.between import Estimate, estimates
from mahals.phase import STUDY
from mahals.records import InputError

FINGERPRINT = re.compile(r"[0-9a-f]{8,64}")
TESTS = "_p"  # at the end of a metric's name: no estimate
Trainings = Mapping[str, Mapping[int, float]]  # a number by its name and the training's seed


@dataclass(frozen=True)
class Told:
    """The numbers of one unit, and what they are of as far as its files say."""

    folder: Path
    phase: str
    unit: str
    metrics: Mapping[str, float]
    suites: frozenset[str]  # of the lines of its board; none where it has no lines
    weights: str | None

    @property
    def name(self) -> str:
        """What messages call it."""
        return f"{self.phase}/{self.unit}"

    @property
    def estimates(self) -> dict[str, Estimate]:
        """Its numbers with their intervals, without p-values."""
        return {n: e for n, e in estimates(self.metrics).items() if not n.endswith(TESTS)}


def read_told(named: str) -> list[Told]:
    """The results in a folder, those of a project's phases over all models, or of a fingerprint.

    Raises InputError when there are none.
    """
    path = Path(named)
    if (path / "metrics.json").is_file():
        return [_told(path)]
    if path.is_dir():
        found = sorted((path / "results").glob(f"*/{STUDY}/metrics.json"))
        if found:
            return [_told(file.parent) for file in found]
    if FINGERPRINT.fullmatch(named):
        return [_told(_by_fingerprint(named))]
    raise InputError(
        named,
        expected="a folder with metrics.json, a project with results, or a fingerprint",
        got="neither" if path.exists() else "no such folder",
        cure="name one, as results/same_arch/study",
    )


def _by_fingerprint(mark: str) -> Path:
    found = [r.folder for r in all_results(Workspace.locate()) if r.fingerprint.startswith(mark)]
    if len(found) != 1:
        raise InputError(
            f"fingerprint {mark}",
            expected="that of one result here",
            got=f"{len(found)} that begin so" if found else "none",
            cure="look for it in a run.json",
        )
    return found[0]


def _told(folder: Path) -> Told:
    """The numbers in a folder. What they are of is in run.json and summary.json; where only
    metrics.json is there, as in git, phase and unit are its path's."""
    metrics = _json(folder / "metrics.json")
    run = _json(folder / "run.json") if (folder / "run.json").is_file() else {}
    file = folder / "summary.json"
    lines = _json(file)["summary"]["entries"] if file.is_file() else []
    full = folder.resolve()
    if not run and full.parent.parent.name != "results":
        raise InputError(
            str(folder / "run.json"), expected="a file", got="none", cure="`dvc pull`, or run it"
        )
    return Told(
        folder,
        str(run.get("phase", full.parent.name)),
        str(run.get("unit", full.name)),
        {str(name): float(value) for name, value in metrics.items()},
        frozenset(str(line["configuration"]["suite"]) for line in lines),
        str(run["weights"]) if "weights" in run else None,
    )


def read_trainings(place: Path) -> dict[str, Trainings]:
    """By phase, each number of each training, of results of the phase replication.

    Raises InputError where there are none.
    """
    over: dict[str, dict[str, dict[int, float]]] = {}
    file = place / "rows.jsonl"
    for number, line in enumerate(_text(file).splitlines(), 1):
        row = json.loads(line)
        if not {"phase", "training", "name", "value", "line"} <= row.keys():
            raise InputError(
                f"{file}:{number}",
                expected="a row of the phase replication",
                got="one with " + ", ".join(row),
                cure="name its results, as results/replication/study",
            )
        if row["line"] is None and row["value"] is not None:
            numbers = over.setdefault(row["phase"], {}).setdefault(row["name"], {})
            numbers[int(row["training"])] = float(row["value"])
    return dict(over)


def _json(path: Path) -> dict[str, Any]:
    try:
        data: dict[str, Any] = json.loads(_text(path))
    except json.JSONDecodeError as error:
        raise InputError(
            str(path), expected="JSON", got=str(error), cure="`dvc pull`, or run it again"
        ) from error
    return data


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except OSError as error:
        raise InputError(
            str(path), expected="a readable file", got=str(error), cure="`dvc pull`, or run it"
        ) from error
