"""Study: how long did a whole one take, phase by phase, and where did the time go?

Read from the run.json files of finished studies. Work: seconds of all tasks of all units. Wall:
from the last unit of the phase before to the last of this one; processes that are idle measure
units of later phases meanwhile. What is left of a run of `mlflow run .` is its start,
the sums over models, publishing, and DVC.
"""

from __future__ import annotations

import argparse
import json
from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

from benchmarks.speed.timing import Line, Page, absent, of_values

IDLE = 60.0  # seconds that a phase may take beside its work


def seconds_of(root: Path) -> dict[str, list[float]]:
    """Seconds of every task, by phase, in order of phases' names."""
    found: dict[str, list[float]] = defaultdict(list)
    for file in sorted((root / "results").glob("*/*/run.json")):
        run = json.loads(file.read_text())
        found[run["phase"]] += run["seconds"]["tasks"]
    return dict(sorted(found.items()))


def walls(root: Path) -> dict[str, float]:
    """Seconds by phase between the ends of phases, in the order in which they ended."""
    ends: dict[str, float] = {}
    begins: list[float] = []
    for file in (root / "results").glob("*/*/run.json"):
        run = json.loads(file.read_text())
        if not run["seconds"]["tasks"]:
            continue  # a sum over units
        ended = datetime.fromisoformat(run["finished"]).timestamp()
        ends[run["phase"]] = max(ended, ends.get(run["phase"], ended))
        begins.append(ended - run["seconds"]["total"])
    before, found = min(begins, default=0.0), {}
    for phase, ended in sorted(ends.items(), key=lambda item: item[1]):
        found[phase], before = ended - before, ended
    return found


def measure(studies: Sequence[tuple[str, Path]]) -> Page:
    """Seconds of work per phase of every study."""
    page = Page("study", str(__doc__))
    for label, root in studies:
        found, wall = seconds_of(root), walls(root)
        total = sum(map(sum, found.values()))
        for phase, tasks in found.items():
            if tasks:
                page.lines.append(_line(label, phase, "work", sum(tasks)))
                page.lines.append(_wall(label, phase, wall[phase], sum(tasks)))
                share = f"{100 * sum(tasks) / total:.0f} % of the work"
                longest = f"the longest task {max(tasks):.1f} s"
                page.notes.append(f"{label}, {phase}: {len(tasks)} tasks, {share}, {longest}.")
        if found:
            page.lines.append(_line(label, "all phases", "work", total))
            page.lines.append(_wall(label, "all phases", sum(wall.values()), total))
        else:
            page.lines.append(absent(label, "all phases", "no run.json under its results/"))
    if not studies:
        why = "no finished study was named (--study LABEL=FOLDER)"
        page.lines.append(absent("study", "all phases", why))
    return page


def _wall(label: str, phase: str, wall: float, work: float) -> Line:
    """Wall time of a phase that was measured in one go: one process takes as long as its work."""
    if wall > work + IDLE:
        return absent(label, f"{phase}, wall", "measured in several runs, with hours between them")
    return _line(label, phase, "wall", wall)


def _line(label: str, phase: str, what: str, seconds: float) -> Line:
    return of_values(label, f"{phase}, {what}", [seconds], ("s", None))


def _named(text: str) -> tuple[str, Path]:
    label, _, folder = text.rpartition("=")
    return label or "the study here", Path(folder)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--study", action="append", type=_named, default=[])
    parser.add_argument("--out", type=Path, default=Path(".mahals/speed"))
    chosen = parser.parse_args()
    measure(chosen.study).write(chosen.out)
