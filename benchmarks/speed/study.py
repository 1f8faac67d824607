"""How long did a whole study take, phase by phase, and where did the time go?

Read from the run.json files of finished studies: seconds of work over all tasks, all units.
"""

from __future__ import annotations

import argparse
import json
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

from benchmarks.speed.timing import Line, Page, absent, of_values


def seconds_of(root: Path) -> dict[str, list[float]]:
    """Seconds of every task, by phase, in order of phases' names."""
    found: dict[str, list[float]] = defaultdict(list)
    for file in sorted((root / "results").glob("*/*/run.json")):
        run = json.loads(file.read_text())
        found[run["phase"]] += run["seconds"]["tasks"]
    return dict(sorted(found.items()))


def measure(studies: Sequence[tuple[str, Path]]) -> Page:
    """Seconds of work per phase of every study."""
    page = Page("study", str(__doc__))
    for label, root in studies:
        found = seconds_of(root)
        total = sum(map(sum, found.values()))
        for phase, tasks in found.items():
            if tasks:
                page.lines.append(_line(label, phase, tasks))
                share = f"{100 * sum(tasks) / total:.0f} % of the work"
                longest = f"the longest task {max(tasks):.1f} s"
                page.notes.append(f"{label}, {phase}: {len(tasks)} tasks, {share}, {longest}.")
        if not found:
            page.lines.append(absent(label, "all phases", "no run.json under its results/"))
    if not studies:
        why = "no finished study was named (--study LABEL=FOLDER)"
        page.lines.append(absent("study", "all phases", why))
    return page


def _line(label: str, phase: str, tasks: Sequence[float]) -> Line:
    return of_values(label, f"{phase}, seconds of work", [sum(tasks)], ("s", None))


def _named(text: str) -> tuple[str, Path]:
    label, _, folder = text.rpartition("=")
    return label or "the study here", Path(folder)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--study", action="append", type=_named, default=[])
    parser.add_argument("--out", type=Path, default=Path(".mahals/speed"))
    chosen = parser.parse_args()
    measure(chosen.study).write(chosen.out)
