"""What is a toy study whose organisms can be trained again?"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from mahals.harness.workspace.paths import Workspace
from tests.support import toy_study as toy

NAMES = ("words", "organisms", "again")


def make(root: Path, **changes: Any) -> Workspace:
    """A workspace of a phase `again` over two trainings of `organisms`, from seed 3 on."""
    toy.make(root)
    shared = {key: value for key, value in toy.PARAMS.items() if key not in toy.NAMES}
    own = {"words": toy.PARAMS["words"], "organisms": {"training_seed": 3}}
    again = {"trainings": 2, "first_models": 0, "phases": ["organisms"]}
    text = yaml.safe_dump({**shared, **own, "again": again, **changes})
    (root / "params.yaml").write_text(text)
    return Workspace(root, package="tests.support.toy_phases", names=NAMES)
