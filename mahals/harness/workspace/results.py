"""Results: what did a unit leave on disk, and is it still whole?"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mahals.harness.workspace.artifacts import KeptPlace
from mahals.harness.workspace.files import first_broken
from mahals.harness.workspace.paths import Workspace
from mahals.harness.workspace.provenance import Provenance
from mahals.phase import Summary
from mahals.records import InputError, from_plain


@dataclass(frozen=True)
class Results:
    """One unit's results: rows.jsonl, kept/, metrics.json, summary.json, report.md, figures/ and
    run.json.

    The unit `study` of a phase that is per model is a gather: it has no rows and keeps nothing.
    """

    workspace: Workspace
    phase: str
    unit: str
    folder: Path
    fingerprint: str

    @property
    def is_canonical(self) -> bool:
        """Whether they lie under results/, made with the values of params.yaml as it stands."""
        return self.folder.is_relative_to(self.workspace.results)

    @property
    def is_gather(self) -> bool:
        """Whether they sum up the units of a phase and have no rows of their own."""
        return bool(self.run()["gather"])

    def rows(self) -> tuple[Any, ...]:
        """The rows, typed, in plan order; a gather has none. InputError for a broken line."""
        if self.is_gather:
            return ()
        path = self.folder / "rows.jsonl"
        kind = self.workspace.phase(self.phase).row
        text = _read(path)
        return tuple(
            from_plain(kind, json.loads(line), f"{self.workspace.relative(path)}:{number}")
            for number, line in enumerate(text.splitlines(), 1)
        )

    def metrics(self) -> dict[str, float]:
        """The headline numbers by name."""
        return {str(k): float(v) for k, v in _read_json(self.folder / "metrics.json").items()}

    def summary(self) -> Summary:
        """What the phase says of these rows."""
        where = self.workspace.relative(self.folder)
        return from_plain(Summary, self.telling()["summary"], where)

    def telling(self) -> dict[str, Any]:
        """summary.json: the summary, by which code it was told, of what, with which figures."""
        return _read_json(self.folder / "summary.json")

    def provenance(self) -> Provenance | None:
        """Of which weights, training and suite they are; None where an earlier code told them."""
        plain = self.telling().get("provenance")
        return None if plain is None else from_plain(Provenance, plain, str(self.folder))

    def run(self) -> dict[str, Any]:
        """How they were made: fingerprint and what went into it, commit, versions, seconds."""
        return _read_json(self.folder / "run.json")

    def figures(self) -> tuple[Path, ...]:
        """The drawn figures as PNG, sorted by name; beside each lie its SVG and PDF."""
        return tuple(sorted((self.folder / "figures").glob("*.png")))

    def kept(self) -> KeptPlace:
        """Where the kept files lie, with their hashes."""
        run = self.run()
        home = run.get("home")
        folder = self.workspace.root / home if home else self.folder / "kept"
        return KeptPlace(folder, {str(k): str(v) for k, v in run["kept"].items()})

    @property
    def content(self) -> str:
        """SHA-256 over rows and kept files: what later phases build on."""
        return str(self.run()["content"])

    def broken(self) -> str | None:
        """The first file that is absent or not what was written; None when all is well."""
        run = self.run()
        if not run["gather"]:
            broken = first_broken(self.folder, {"rows.jsonl": run["rows"]})
            place = self.kept()
            return broken or first_broken(place.folder, place.hashes)
        return None


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except OSError as error:
        raise InputError(
            str(path),
            expected="a file of finished results",
            got=error.strerror or str(error),
            cure="run the phase again, or `dvc checkout`",
        ) from error


def _read_json(path: Path) -> dict[str, Any]:
    try:
        data = json.loads(_read(path))
    except json.JSONDecodeError as error:
        raise InputError(
            str(path), expected="JSON", got=str(error), cure="delete it and run the phase again"
        ) from error
    if not isinstance(data, dict):
        raise InputError(
            str(path),
            expected="a JSON object",
            got=type(data).__name__,
            cure="delete it and run the phase again",
        )
    return data


def at(workspace: Workspace, folder: Path) -> Results | None:
    """The results in a folder, if its run.json is there and readable."""
    path = folder / "run.json"
    if not path.is_file():
        return None
    run = _read_json(path)
    return Results(workspace, str(run["phase"]), str(run["unit"]), folder, str(run["fingerprint"]))


def find(workspace: Workspace, phase: str, unit: str, fingerprint: str) -> Results | None:
    """The whole results of that fingerprint, canonical or not; None when absent or broken."""
    for folder in (workspace.results / phase / unit, workspace.runs / fingerprint):
        results = at(workspace, folder)
        if results is None or results.fingerprint != fingerprint:
            continue
        if results.broken() is None:
            return results
    return None


def all_results(workspace: Workspace) -> tuple[Results, ...]:
    """Every finished result on disk, canonical ones first, in order of path."""
    return tuple(_walk(workspace))


def _walk(workspace: Workspace) -> Iterator[Results]:
    marks = sorted(workspace.results.glob("*/*/run.json"))
    marks += sorted(workspace.runs.glob("*/run.json"))
    for mark in marks:
        results = at(workspace, mark.parent)
        if results is not None:
            yield results
