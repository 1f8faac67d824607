"""Same architecture, figures: do dose curves hold the rows and the random band?"""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy import stats

from mahals.data.texts import AXIOMS
from mahals.phases.same_arch.figures.dose_curves import axiom_curves, draw_dose_curves
from mahals.reporting.evidence import ArmTable
from tests.support.arm_rows import arm_row
from tests.support.tiny_lab import MemoryKept


def test_curves_hold_the_rows_and_the_random_band() -> None:
    doses = (0.0, 0.5, 1.0)
    grid = [arm_row("steered", i, dose_kind="lambda", dose=d) for i, d in enumerate(doses)]
    random = [
        arm_row("random", 10 + 2 * i + k, draw=k, dose_kind="lambda", dose=d)
        for i, d in enumerate(doses[1:])
        for k in range(2)
    ]
    base = arm_row("unsteered", 30)
    influence = torch.randn(31, 28, generator=torch.Generator().manual_seed(0)).double()
    tensors = {
        "influence": influence, "axioms": torch.arange(28) % 7, "clusters": torch.arange(28),
        "refused": torch.zeros(31, 14).bool(), "labels": torch.arange(14) % 2,
        "answered_clusters": torch.arange(14), "answered_axioms": torch.arange(14) % 7,
    }  # fmt: skip
    table = ArmTable([base, *grid, *random], MemoryKept({base.evidence: tensors}))
    ((name, curve),) = draw_dose_curves(table).items()
    assert name == "A" and list(curve.x) == list(doses)
    assert list(curve.arms["own vector"].values) == [r.aqi for r in grid]
    assert curve.band is not None and curve.band.values[0] == base.aqi
    assert curve.band.values[1] == pytest.approx(np.mean([r.aqi for r in random[:2]]))
    assert curve.band.lows[2] == min(r.aqi for r in random[2:])
    assert curve.references == {"unsteered": base.aqi}
    drawn = axiom_curves(table)
    panels = drawn.panels
    assert drawn.variant == "add raw"
    assert [name.replace("\n", " ") for name in panels] == list(AXIOMS)
    third = list(panels.values())[2].arms["own vector"].values
    assert list(third) == [r.aqi_axioms[2] for r in grid]
    line = list(panels.values())[2].arms["own vector"]
    own = influence[1, 2::7].numpy() * 7 * np.sqrt(4 * 3 / (28 * 27))  # of this axiom's 4 prompts
    half = stats.t.ppf(0.975, 3) * np.sqrt(((own - own.mean()) ** 2).sum() / (4 * 3))
    assert line.lows is not None and line.highs is not None
    assert line.highs[1] == pytest.approx(grid[1].aqi_axioms[2] + half)
    assert line.lows[1] == pytest.approx(grid[1].aqi_axioms[2] - half)
