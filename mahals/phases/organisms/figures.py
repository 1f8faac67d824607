"""Figures of organisms: how did each small model learn?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from mahals.phase import Kept
from mahals.phases.organisms.rows import Row
from mahals.reporting.evidence import Evidence
from mahals.reporting.plots.grids import Grid, matrix
from mahals.reporting.plots.sheet import Labels
from mahals.schema import CHECKPOINTS

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def draw(rows: Sequence[Row], kept: Kept) -> Mapping[str, Figure]:
    """refusal_by_checkpoint: refusals of unsafe and of safe prompts, per organism."""
    table = Evidence(rows, kept)
    models = table.values_of("model")
    cells = [
        [
            None if row is None else getattr(row, f"refusal_{label}")
            for checkpoint in CHECKPOINTS
            for label in ("unsafe", "safe")
            for row in (table.one(model=model, checkpoint=checkpoint),)
        ]
        for model in models
    ]
    columns = [f"{c}\n{label}" for c in CHECKPOINTS for label in ("unsafe", "safe")]
    labels = Labels(
        "Refusals of the organisms' checkpoints (refusal is trained in)",
        "share refused",
        "Unsafe and safe prompts of the selection split, read after training. No interval: a "
        "check of the training, not a result.",
    )
    return {"refusal_by_checkpoint": matrix(Grid(models, columns, cells), labels, False, ".2f")}
