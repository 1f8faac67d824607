"""Small study: what did `mahals study --overlay smoke` leave in a copy of the project?"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from mahals.harness.workspace.paths import Workspace
from mahals.harness.workspace.results import Results, all_results
from tests.support.light_repository import copy_tree, git, run

STUDY = ("python", "-m", "mahals", "study", "--overlay", "smoke")


@dataclass(frozen=True)
class SmallStudy:
    """A copy of the project in which `mahals study --overlay smoke` ran; leave it as it is."""

    root: Path
    output: str  # what the command printed
    seconds: float

    @cached_property
    def results(self) -> Mapping[tuple[str, str], Results]:
        """Everything that it measured, by phase and unit."""
        return {(r.phase, r.unit): r for r in all_results(Workspace(self.root))}


def run_study(root: Path) -> SmallStudy:
    """Makes a copy of the project at `root` and runs the study in it."""
    copy_tree(root)
    git(root, "init", "--quiet", "--initial-branch=main")
    git(root, "add", "--all")
    git(root, "commit", "--quiet", "--message=copy")
    began = time.monotonic()
    done = run(root, *STUDY)
    seconds = time.monotonic() - began
    (root / ".mahals" / "printed.txt").write_text(f"{seconds}\n{done.stdout}", encoding="utf-8")
    return read_study(root)


def read_study(root: Path) -> SmallStudy:
    """The study that `run_study` made at `root`."""
    seconds, _, output = (root / ".mahals/printed.txt").read_text(encoding="utf-8").partition("\n")
    return SmallStudy(root, output, float(seconds))
