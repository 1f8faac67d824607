"""Output: how do a unit's results come to lie on disk such that they are whole or not there?"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from typing import Any

from mahals.harness.workspace.files import (
    copy_tree,
    link_files,
    make_folder,
    remove,
    replace_folder,
    sync,
    write_atomic,
    writing,
)
from mahals.harness.workspace.paths import Workspace
from mahals.harness.workspace.results import Results
from mahals.kernels import Kernels
from mahals.records import canonical, digest, to_plain


@dataclass(frozen=True)
class Unit:
    """A unit's identity, where its results go, and what run.json says besides its outputs."""

    workspace: Workspace
    phase: str
    unit: str
    fingerprint: str
    folder: Path
    home: str | None  # where kept files go, from the root; None: kept/ in `folder`
    run: Mapping[str, Any]


@dataclass(frozen=True)
class TaskCost:
    """What a task took: seconds, the padded tokens of its batches, how many of them were halved.

    `kernels`: what its process computed with.
    """

    seconds: float
    budgets: tuple[int, ...]
    halved: int
    kernels: Kernels | None = None
    peak: int | None = None  # bytes that its process had held at most


@dataclass(frozen=True)
class Output:
    """What a unit has to write. `rows` None: a gather, which has no rows and keeps nothing."""

    rows: bytes | None
    kept_from: Path | None
    kept: Mapping[str, str]
    tasks: tuple[TaskCost, ...]  # in plan order
    metrics: bytes
    summary: bytes
    report: bytes
    figures: Mapping[str, bytes]  # by file name, in every form


def install(place: Unit, output: Output) -> None:
    """Writes all files of a unit, run.json last: without it there are no results."""
    make_folder(place.folder)
    with writing(place.folder):
        remove(place.folder / "run.json")
        remove(place.folder / "rows.jsonl")
    if output.kept_from is not None:
        kept = _install_kept(place, output.kept_from, output.kept)
        with writing(kept):
            sync(kept / name for name in output.kept)
    if output.rows is not None:
        write_atomic(place.folder / "rows.jsonl", output.rows)
    show_again(place, output)
    write_atomic(place.folder / "run.json", pretty(_run(place, output)))


def adopt(results: Results, place: Unit) -> None:
    """Results made with values that are now those of params.yaml, as canonical ones at `place`.

    They keep the facts of their making; their own folder stays.
    """
    run, kept, drawn = results.run(), results.kept(), results.folder / "figures"
    facts = ("machine", "ran_on", "versions", "commit", "dirty")
    costs = zip(run["seconds"]["tasks"], run["batches"]["tasks"], strict=True)
    install(
        replace(place, run={**place.run, **{name: run[name] for name in facts}}),
        Output(
            rows=(results.folder / "rows.jsonl").read_bytes(),
            kept_from=kept.folder,
            kept=kept.hashes,
            tasks=tuple(TaskCost(s, tuple(b["tokens"]), b["halved"]) for s, b in costs),
            metrics=(results.folder / "metrics.json").read_bytes(),
            summary=(results.folder / "summary.json").read_bytes(),
            report=(results.folder / "report.md").read_bytes(),
            figures={n: (drawn / n).read_bytes() for n in results.telling()["figures"]},
        ),
    )


def show_again(place: Unit, output: Output) -> None:
    """Writes metrics, report, figures and summary alone; the last vouches for the others."""
    drawn = place.folder / ".figures.tmp"
    with writing(place.folder):
        remove(place.folder / "summary.json")
        remove(drawn)
        drawn.mkdir(parents=True)
        for name, body in output.figures.items():
            (drawn / name).write_bytes(body)
        replace_folder(drawn, place.folder / "figures")
    write_atomic(place.folder / "metrics.json", output.metrics)
    write_atomic(place.folder / "report.md", output.report)
    write_atomic(place.folder / "summary.json", output.summary)


def _install_kept(place: Unit, source: Path, hashes: Mapping[str, str]) -> Path:
    """The kept files of measured tasks, linked from the journal; others in it are left out.

    Gives the folder that they are in.
    """
    if place.home:
        for name in sorted({path.partition("/")[0] for path in hashes}):
            target = place.workspace.root / place.home / name
            draft = target.with_name(f".{name}.tmp")
            copy_tree(source / name, draft)
            with writing(target):
                remove(target)
                draft.replace(target)
        return place.workspace.root / place.home
    draft = place.folder / ".kept.tmp"
    with writing(draft):
        remove(draft)
        draft.mkdir(parents=True)
    link_files(source, draft, hashes)
    replace_folder(draft, place.folder / "kept")
    return place.folder / "kept"


def _run(place: Unit, output: Output) -> dict[str, Any]:
    rows = sha256(output.rows).hexdigest() if output.rows is not None else None
    kept = dict(sorted(output.kept.items()))
    seconds = [task.seconds for task in output.tasks]
    batches = {
        "tokens": sorted({tokens for task in output.tasks for tokens in task.budgets}),
        "halved": sum(task.halved for task in output.tasks),
        "tasks": [{"tokens": list(t.budgets), "halved": t.halved} for t in output.tasks],
    }
    return {
        "ran_on": _ran_on(output.tasks),
        **place.run,
        "phase": place.phase,
        "unit": place.unit,
        "fingerprint": place.fingerprint,
        "home": place.home,
        "gather": output.rows is None,
        "rows": rows,
        "kept": kept,
        "content": digest({"rows": rows, "kept": kept}),
        "seconds": {"total": round(sum(seconds), 3), "tasks": seconds},
        "batches": batches,
        "peak_bytes": max((t.peak for t in output.tasks if t.peak is not None), default=None),
        "finished": datetime.now(UTC).isoformat(timespec="seconds"),
    }


def _ran_on(tasks: Iterable[TaskCost]) -> list[Any]:
    """Each kind of CPU and kernels that measured some of the tasks, once."""
    found = {canonical(task.kernels): to_plain(task.kernels) for task in tasks if task.kernels}
    return [found[key] for key in sorted(found)]


def pretty(value: Any) -> bytes:
    """JSON for people and for git: sorted keys, one value per line."""
    text = json.dumps(to_plain(value), indent=1, sort_keys=True, ensure_ascii=False)
    return f"{text}\n".encode()
