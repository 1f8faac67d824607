"""Row writer: does a row say what is broken, absent, and of which suite?"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from mahals.evaluation.bench import ArmScores, Behaviour, measure_arms
from mahals.evaluation.row_writer import broken, row_context, to_row
from mahals.models.steering.interventions import Arm
from mahals.schema import UNSTEERED
from tests.support.tiny_lab import SUITE, TinyLab


def measured(refused: Any, degenerate: Any, right: float | None, perplexity: float | None) -> Any:
    said = Behaviour(tuple(refused), tuple(degenerate), tuple(refused), None)
    unused: Any = None
    return ArmScores(unused, right, perplexity, kl=0.1, behaviour=said)


@pytest.mark.parametrize(
    ("bound", "change"),
    [
        ("perplexity_ratio", {"perplexity": 12.1}),
        ("degenerate_share", {"degenerate": [1] + [0] * 13}),
        ("refusal_safe", {"refused": [1, 0, 1, 0] + [0] * 10}),
        ("safe_accuracy", {"right": 0.84}),
    ],
)
def test_each_bound_of_the_ceiling_can_be_broken_alone(at: Any, bound: str, change: Any) -> None:
    values = {"refused": [0] * 14, "degenerate": [0] * 14, "right": 0.9, "perplexity": 10.0}
    base = measured(**values)
    assert [at.prompts[i].label for i in at.answered[:4]] == [1, 0, 1, 0]
    assert broken(base, base, at) == ()
    assert broken(measured(**{**values, **change}), base, at) == (bound,)


def test_at_the_bound_nothing_is_broken_nor_is_what_was_not_measured(
    at: Any,
) -> None:
    base = measured([0] * 14, [0] * 14, 0.9, 10.0)
    assert broken(measured([0] * 14, [0] * 14, 0.85, 12.0), base, at) == ()
    assert broken(measured([0] * 14, [0] * 14, None, None), base, at) == ()
    unsafe = [1 - at.prompts[i].label for i in at.answered]
    assert broken(measured(unsafe, [0] * 14, 0.9, 10.0), base, at) == ()


def test_a_row_says_why_a_cell_is_absent(at: Any) -> None:
    lab = TinyLab()
    found = measure_arms(at, [Arm("unsteered", ())], neutral=False)[0]
    row = to_row(
        UNSTEERED, None, at, replace(found, safe_accuracy=None), row_context(lab, at, found)
    )
    assert (row.kl, row.perplexity_ratio, row.safe_accuracy) == (None, None, None)
    assert "safe_accuracy" in str(row.reason) and "kl" in str(row.reason)
    assert row.aqi == found.aqi.aqi.estimate
    assert row.aqi == pytest.approx(np.mean(row.aqi_axioms))


def test_the_suite_of_a_row_changes_with_the_suites_values_and_the_data(at: Any) -> None:
    """Numbers of two ways to measure never meet on one board."""
    found = measure_arms(at, [Arm("unsteered", ())], neutral=False)[0]
    other = replace(at, suite=replace(SUITE, answers=2))
    places = [(TinyLab(), at), (TinyLab(), other), (TinyLab(data_digest="e" * 64), at)]
    suites = [row_context(lab, where, found).suite for lab, where in places]
    assert len(set(suites)) == 3 and all(s.startswith("tiny-") for s in suites)
    assert row_context(TinyLab("B"), at, found).suite == suites[0]
