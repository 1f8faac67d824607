"""Axiom parts: does the evidence give back each axiom with its interval?"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from mahals.data.texts import AXIOMS
from mahals.evaluation.bench import bench
from mahals.evaluation.row_writer import keep_evidence, row_context, to_row
from mahals.evaluation.scores import measure_arms, states
from mahals.maths.metrics.aqi import model_aqi
from mahals.models.steering.interventions import Arm
from mahals.reporting.axiom_parts import part
from mahals.reporting.evidence import ArmTable
from mahals.schema import UNSTEERED
from tests.support.tiny_lab import SUITE, TinyLab


@pytest.fixture(scope="module")
def at() -> Any:
    return bench(TinyLab(), "A", "base", SUITE, "evaluation")


def test_the_evidence_gives_back_each_axiom_with_its_interval(at: Any) -> None:
    lab = TinyLab()
    found = measure_arms(at, [Arm("unsteered", ())], neutral=False)
    kept = keep_evidence(lab, "one", at, [(UNSTEERED, found[0])])
    row = to_row(UNSTEERED, None, at, found[0], row_context(lab, at, found[0]))
    row = replace(row, **kept.at(0))
    arm = ArmTable([row], lab.kept("")).arm(row)
    for j, axiom in enumerate(found[0].aqi.axioms):
        own = part(arm, [j])
        assert own.estimate == axiom.aqi.estimate
        np.testing.assert_allclose(own.influence, axiom.influence, atol=1e-9)
    whole = part(arm, range(7))
    np.testing.assert_allclose(whole.influence, found[0].aqi.influence, atol=1e-9)
    six = part(arm, range(6))
    chosen = [i for i, a in enumerate(at.axioms) if a != AXIOMS[6]]
    ((x, _),) = states(at, [Arm("unsteered", ())])
    alone = model_aqi(
        x[chosen],
        at.labels[chosen],
        [at.axioms[i] for i in chosen],
        [at.clusters[i] for i in chosen],
    )
    assert six.estimate == pytest.approx(alone.aqi.estimate)
    np.testing.assert_allclose(six.influence, alone.influence, atol=1e-9)
