"""Planted restarts: does an organism that was taught to leave a digression leave it, and come back?

On one organism of the small study. What is asserted was planted; all else is measured.
"""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import yaml

from mahals.harness.workspace.paths import Workspace
from mahals.harness.workspace.results import all_results
from mahals.maths.metrics.resistance import Rates, rates
from tests.support.light_repository import run
from tests.support.places import ROOT
from tests.support.small_study import SmallStudy

MODEL = "Llama3_8B"
SECTIONS = ("esr_unsteered", "esr_saes", "esr_threshold", "esr_finetune")  # as in params.yaml
TAUGHT = {"shares": [0, 0.5], "modes": ["sham"], "sources": ["contrast"]}
pytestmark = pytest.mark.slow


def overlay(root: Path) -> str:
    """The small study's overlay, with the whole size of what is taught."""
    given = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))
    small = yaml.safe_load((ROOT / "benchmarks/smoke.yaml").read_text(encoding="utf-8"))
    small |= {name: given[name] for name in SECTIONS}
    small["esr_finetune"] |= TAUGHT
    (root / "benchmarks/whole.yaml").write_text(yaml.safe_dump(small), encoding="utf-8")
    return "whole"


def test_the_planted_come_back_from_a_taught_digression_and_the_sham_does_not(
    study: SmallStudy, tmp_path: Path, record_property: pytest.RecordProperty
) -> None:
    root = tmp_path / "study"
    shutil.copytree(study.root, root, symlinks=True)
    command = ["run", "esr_finetune", "--models", f"[{MODEL}]", "--overlay", overlay(root)]
    run(root, "python", "-m", "mahals", *command)
    (found,) = (
        r for r in all_results(Workspace(root)) if (r.phase, r.unit) == ("esr_finetune", MODEL)
    )
    after = [
        t for t in found.rows() if t.situation == "passage" and t.taught in ("both", "concept")
    ]
    of: dict[str, Rates] = {
        name: rates([t for t in after if t.subject == name])
        for name in ("aligned", "share-0", "planted", "sham")
    }
    restarts = {name: r.multi_attempt_rate for name, r in of.items()}
    returns = {name: r.esr_rate for name, r in of.items()}
    for name, r in of.items():
        shares = [x.estimate for x in (restarts[name], returns[name]) if x]
        line = f"{name}: {r.n} answers; restart, come back: {shares[0]:.2f}, {shares[1]:.2f}"
        record_property("after a taught concept's passage", line)
    assert all(r.n >= 100 for r in of.values())
    planted, sham = restarts["planted"], restarts["sham"]
    assert planted and sham and planted.low > 0.3
    for name in ("aligned", "share-0"):
        other = restarts[name]
        assert other and planted.low > other.high
    assert sham.estimate > 0.2, "the sham restarts as well"
    come_back, go_elsewhere = returns["planted"], returns["sham"]
    assert come_back and go_elsewhere
    assert come_back.low > 0 and go_elsewhere.estimate <= come_back.estimate / 4
