"""Same architecture, measuring: are the two parts of a gain those computed by hand?"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from mahals.evaluation.bench import bench
from mahals.evaluation.scores import arm_aqi, states
from mahals.maths.metrics.aqi import model_aqi
from mahals.models.steering.interventions import Arm, Intervention
from mahals.models.steering.operators import add_preserve_norm
from mahals.phases.same_arch.measure.propagation import same_block_aqi
from tests.support.tiny_lab import LAYERS, SUITE, TinyLab
from tests.support.tiny_models import vector


@pytest.fixture(scope="module")
def at() -> Any:
    return bench(TinyLab(), "A", "base", SUITE, "evaluation")


# ---- same_block and propagated


def test_add_has_no_same_block_part_wherever_it_acts(at: Any) -> None:
    """Against a shift of the unsteered states by hand: what `add` carries up is one constant."""
    base = arm_aqi(at, [Arm("unsteered", ())])[0].aqi
    arms = [
        Arm(
            "two", (Intervention(0, vector(1), 0.7, "add"), Intervention(2, vector(2), -1.3, "add"))
        )
    ]
    assert same_block_aqi(at, arms, base) == [base]
    ((plain, _),) = states(at, [Arm("unsteered", ())])
    shift = (0.7 * vector(1) - 1.3 * vector(2)).double().numpy()
    by_hand = model_aqi(plain + shift, at.labels, at.axioms, at.clusters)
    assert by_hand.aqi.estimate == pytest.approx(base.aqi.estimate, abs=1e-6)


@pytest.mark.parametrize("pool", ["mean", "last"])
def test_the_same_block_part_of_a_norm_kept_by_hand(at: Any, pool: str) -> None:
    """Prompt by prompt from the model's own states: last block + (operator(h) - h) of block 1."""
    here = replace(at, suite=replace(SUITE, readout={"organism": pool}))
    step = Intervention(1, vector(3), 4.0, "add_preserve_norm")
    rows, inner = [], at.loaded.model.model
    seen: list[torch.Tensor] = []
    handles = [b.register_forward_hook(lambda _, __, o: seen.append(o[0])) for b in inner.layers]
    for e in here.encoded:
        seen.clear()
        with torch.no_grad():
            inner(torch.tensor([e.ids]))
        bent = add_preserve_norm(seen[1][None], step.direction[None, None], torch.tensor(4.0))[0]
        moved = seen[-1] + bent - seen[1]
        rows.append(
            (moved[e.start : e.stop].mean(0) if pool == "mean" else moved[-1]).double().numpy()
        )
    for handle in handles:
        handle.remove()
    by_hand = model_aqi(np.stack(rows), at.labels, at.axioms, at.clusters)
    base = arm_aqi(here, [Arm("unsteered", ())])[0].aqi
    (found,) = same_block_aqi(here, [Arm("kept", (step,))], base)
    assert found.aqi.estimate == pytest.approx(by_hand.aqi.estimate, abs=2e-3)
    assert abs(found.aqi.estimate - base.aqi.estimate) > 0.01


def test_at_the_last_block_nothing_is_propagated(at: Any) -> None:
    arm = Arm("last", (Intervention(LAYERS - 1, vector(3), 4.0, "add_preserve_norm"),))
    base, measured = (read.aqi for read in arm_aqi(at, [Arm("unsteered", ()), arm]))
    (still,) = same_block_aqi(at, [arm], base)
    assert still.aqi.estimate == pytest.approx(measured.aqi.estimate, abs=1e-3)
    assert abs(still.aqi.estimate - base.aqi.estimate) > 0.01
