"""Bare workspace: what is a project folder with nothing in it but its two files?"""

from __future__ import annotations

from pathlib import Path

from tests.support.places import ROOT


def bare_workspace(root: Path) -> Path:
    (root / "benchmarks").mkdir()
    for name in ("params.yaml", "benchmarks/models.yaml"):
        (root / name).write_text((ROOT / name).read_text())
    return root
