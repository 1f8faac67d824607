"""Figures of esr_saes: how well do its autoencoders describe a model's states?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from mahals.phase import Kept
from mahals.phases.esr_saes.rows import Row
from mahals.reporting.plots.bars import grouped_bars
from mahals.reporting.plots.sheet import Estimates, Labels

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def draw(rows: Sequence[Row], kept: Kept) -> Mapping[str, Figure]:
    """dictionaries, by model and block."""
    saes = [r for r in rows if r.what == "sae"]
    caption = "On states of answers that none was trained on; one training each, no interval."
    labels = Labels("How well do the autoencoders describe states?", "share", caption, "lower")
    series = {
        "variance not explained": Estimates([r.fvu for r in saes]),
        "latents never active": Estimates([r.dead for r in saes]),
    }
    names = [f"{r.model}, block {r.block} ({r.held_out} states)" for r in saes]
    return {"dictionaries": grouped_bars(names, series, labels)}
