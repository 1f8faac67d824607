"""What do the registry and the stored files look like as tables in a terminal?"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mahals.harness.workspace.paths import Workspace
    from mahals.harness.workspace.results import Results
    from mahals.models.checkpoints.registry import ModelEntry

MODEL_HEADS = ("key", "family", "kind of pair", "layers", "width", "licence", "here")


def table(heads: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """Aligned columns under their heads; whole numbers to the right."""
    cells = [[str(cell) for cell in row] for row in rows]
    widths = [max(len(c) for c in column) for column in zip(heads, *cells, strict=True)]
    lines = [heads, ["-" * w for w in widths], *cells]
    return "\n".join(
        "  ".join(
            c.rjust(w) if c.isdigit() else c.ljust(w) for c, w in zip(line, widths, strict=True)
        ).rstrip()
        for line in lines
    )


def model_table(entries: Iterable[ModelEntry], trained: frozenset[str]) -> str:
    """The registry. `trained`: the keys whose organism has been trained here."""
    return table(
        MODEL_HEADS,
        (
            (e.key, e.family, e.pair, e.layers, e.width, e.licence, _here(e, e.key in trained))
            for e in entries
        ),
    )


def trained_organisms(results: Iterable[Results]) -> frozenset[str]:
    """The models of which an organism lies on disk, with whatever values it was trained."""
    return frozenset(r.unit for r in results if r.phase == "organisms" and not r.is_gather)


def cache_table(workspace: Workspace) -> str:
    """How many files and bytes each folder of `.mahals` holds."""
    rows = []
    for folder in state_folders(workspace):
        files = [p for p in folder.rglob("*") if p.is_file()]
        megabytes = sum(p.stat().st_size for p in files) / 1e6
        rows.append((workspace.relative(folder), len(files), f"{megabytes:.1f} MB"))
    return table(("folder", "files", "size"), rows)


def state_folders(workspace: Workspace) -> tuple[Path, ...]:
    """Unfinished units, runs with other values than params.yaml's, read states, measured arms."""
    return (workspace.journals, workspace.runs, workspace.cache)


def _here(entry: ModelEntry, organism: bool) -> str:
    from mahals.models.checkpoints.hub import available_locally

    halves = (("base", entry.base), ("aligned", entry.aligned))
    found = [name for name, ref in halves if ref is not None and available_locally(ref)]
    return ", ".join([*(["organism"] if organism else []), *found]) or "nothing"
