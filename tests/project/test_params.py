"""Parameters: does params.yaml stay what it is when DVC rewrites one of its values?"""

from __future__ import annotations

import shutil
from pathlib import Path

import yaml

from tests.support.places import ROOT


def test_dvc_changes_one_value_and_no_other(tmp_path: Path) -> None:
    """As `dvc exp run -S` does, which reads and writes the whole file."""
    from dvc.utils.hydra import apply_overrides

    file = tmp_path / "params.yaml"
    shutil.copy2(ROOT / "params.yaml", file)
    wanted = yaml.safe_load(file.read_text())
    apply_overrides(file, ["same_arch.lambdas=[0,0.5]", "seed=3"])
    wanted["same_arch"]["lambdas"] = [0, 0.5]
    wanted["seed"] = 3
    assert yaml.safe_load(file.read_text()) == wanted
