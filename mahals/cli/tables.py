"""Tables: what do the registry and the stored files look like in a terminal?"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from mahals.records import InputError

if TYPE_CHECKING:
    from rich.box import Box

    from mahals.harness.workspace.paths import Workspace
    from mahals.harness.workspace.results import Results
    from mahals.models.checkpoints.places import Places
    from mahals.models.checkpoints.registry import ModelEntry, Ref

GAP = 2  # between two columns
SHORT = 7  # a column of no more characters stays as wide in a narrow terminal
UNKNOWN = "?"  # where a whole number is not known yet
Side = Literal["left", "right"]

MODEL_HEADS = ("key", "family", "kind of pair", "layers", "width", "licence", "from", "here")


def table(heads: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """Columns under their heads as standard output shows them; whole numbers to the right.

    On a terminal at its width, long cells over several lines; elsewhere plain and uncut.
    """
    from rich.box import SIMPLE_HEAD
    from rich.cells import cell_len
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    cells = [[str(cell) for cell in row] for row in rows]
    columns = list(zip(heads, *cells, strict=True))
    console = Console(highlight=False)
    screen = sys.stdout.isatty() and not console.is_dumb_terminal
    if not screen:
        widest = sum(max(map(cell_len, column)) + GAP for column in columns)
        console = Console(width=widest, color_system=None, force_terminal=False)
    box, around = SIMPLE_HEAD if screen else _plain(), (0, GAP - 1, 0, 0)
    shown = Table(box=box, show_edge=False, pad_edge=False, padding=around)
    for head, *column in columns:
        short = max(map(cell_len, (head, *column))) <= SHORT
        whole = all(cell.isdigit() or cell == UNKNOWN for cell in column)
        right: Side = "right" if whole else "left"
        shown.add_column(Text(head), justify=right, no_wrap=short, overflow="fold")
    for line in cells:
        shown.add_row(*map(Text, line))
    with console.capture() as captured:
        console.print(shown)
    return "\n".join(line.rstrip() for line in captured.get().splitlines())


def _plain() -> Box:
    """Two blanks between columns, a rule of ASCII dashes below the heads."""
    from rich.box import Box

    return Box("    \n    \n -  \n    \n    \n    \n    \n    \n", ascii=True)


def model_table(entries: Iterable[ModelEntry], trained: frozenset[str], places: Places) -> str:
    """The registry. `trained`: the keys whose organism has been trained here."""
    rows = []
    for e in entries:
        facts = [UNKNOWN if fact is None else fact for fact in (e.family, e.layers, e.width)]
        sources = dict.fromkeys(places.said(ref).partition(" ")[0] for ref in e.refs)
        origins = ", ".join([*(["organism"] if e.organism is not None else []), *sources])
        here = _here(e, e.key in trained, places)
        rows.append((e.key, facts[0], e.pair, *facts[1:], e.licence, origins, here))
    return table(MODEL_HEADS, rows)


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


def checkpoint_line(workspace: Workspace) -> str:
    """How many bytes of real checkpoints are kept; `--prune` leaves them."""
    files = [p for p in workspace.checkpoints.rglob("*") if p.is_file()]
    megabytes = sum(p.stat().st_size for p in files) / 1e6
    return f"{workspace.relative(workspace.checkpoints)}: {megabytes:.1f} MB of checkpoints, kept"


def _here(entry: ModelEntry, organism: bool, places: Places) -> str:
    halves = (("base", entry.base), ("aligned", entry.aligned))
    found = [_half(name, ref, places) for name, ref in halves if ref is not None]
    return ", ".join(each for each in ("organism" if organism else "", *found) if each) or "nothing"


def _half(name: str, ref: Ref, places: Places) -> str:
    """A half's name where it is here, with the reason where its place holds none; else nothing."""
    try:
        return name if places.local(ref) is not None else ""
    except InputError as error:
        return f"{name}: {error.got}"
