"""Provenance: is it said of which weights, training and suite rows are?"""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from mahals.harness.workspace.provenance import Provenance, provenance, together

RUN = {"weights": "organism", "training": 3, "models": ["A", "B"]}


def rows(*named: dict[str, Any]) -> list[Any]:
    return [SimpleNamespace(**each) for each in named]


@pytest.mark.parametrize(
    ("run", "given", "line"),
    [
        (RUN, [], "organism weights, training seed 3 (a declared positive control)"),
        (
            RUN,
            [{"training": 1, "suite": "core 1"}, {"training": 0, "suite": "core 1"}],
            "organism weights, training seeds 0, 1 (a declared positive control); suite core 1",
        ),
        (
            {**RUN, "trainings": {"3": ["x"], "4": ["y"]}},
            [{}],
            "organism weights, training seeds 3, 4 (a declared positive control)",
        ),
        (
            {"weights": "organism", "models": ["A"]},  # of a time when it was not written
            [],
            "organism weights (a declared positive control)",
        ),
        (
            {"weights": "hub", "training": None, "models": ["A"]},
            [{"training": None, "suite": "core 1"}],
            "hub weights; suite core 1",
        ),
        ({**RUN, "models": []}, [], "no model read; texts for organism weights"),
    ],
)
def test_the_line_names_weights_training_and_suite(run: Any, given: Any, line: str) -> None:
    assert provenance(run, rows(*given)).line == line


def test_several_results_are_named_together() -> None:
    texts = Provenance("organism", (), (), ())
    one = Provenance("organism", (0,), ("core 1",), ("A",))
    other = Provenance("organism", (1,), (), ("B", "A"))
    assert together([texts]) is None
    both = Provenance("organism", (0, 1), ("core 1",), ("A", "B"))
    assert together([texts, one, other]) == both
