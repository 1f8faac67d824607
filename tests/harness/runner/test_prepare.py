"""Preparation: does a unit know what it needs, and the command that makes it?"""

from __future__ import annotations

from pathlib import Path

import pytest

from mahals.records import InputError
from tests.support import toy_study as toy


def test_require_refuses_and_names_the_command(tmp_path: Path) -> None:
    workspace = toy.make(tmp_path)
    with pytest.raises(InputError, match=r"grow A, grow B.*python -m mahals run grow$"):
        toy.run(workspace, "cross", upstream="require")
    with pytest.raises(InputError, match=r"run grow --set seed=3 --set 'models=\[\"A\"\]'$"):
        toy.run(workspace, "cross", upstream="require", seed=3, models=["A"], cross__power=3)
    assert not (tmp_path / "results").exists()


def test_a_limited_run_measures_that_many_tasks_and_is_not_canonical(tmp_path: Path) -> None:
    workspace = toy.make(tmp_path)
    *units, _ = toy.run(workspace, "cross", limit=1)
    assert [len(results.rows()) for results in units] == [1, 1]
    assert not any(results.is_canonical for results in units)
    assert len((tmp_path / "results/grow/A/rows.jsonl").read_text().splitlines()) == 20
