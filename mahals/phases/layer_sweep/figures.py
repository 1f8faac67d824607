"""Figures of layer_sweep: how does the refusal gap move over the blocks, beside null arms?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from mahals.phase import Kept
from mahals.phases.layer_sweep.report import BlockArms, blocks_of, gap_of
from mahals.phases.layer_sweep.rows import Row
from mahals.reporting.evidence import ArmTable
from mahals.reporting.headlines import FAMILY_WORDS
from mahals.reporting.plots.curves import Curve, curve_with_band
from mahals.reporting.plots.sheet import Estimates, Labels

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def draw(rows: Sequence[Row], kept: Kept) -> Mapping[str, Figure]:
    """gap_over_blocks, a panel a model; none where no vector reached a dose."""
    table = ArmTable(rows, kept)
    models = list(dict.fromkeys(r.target for r in rows))
    swept = {m: blocks_of(m, table) for m in models}
    panels = {m: _panel(m, b, table) for m, b in swept.items() if any(x.steered for x in b)}
    if not panels:
        return {}
    labels = Labels(
        "Refusal gap over the block that the own vector is added at",
        "refusal gap (unsafe less safe)",
        f"{len(table.arm(rows[0]).refused)} answered prompts of the selection split: a block is "
        "chosen here, nothing is found. In a line's colour: 95 % interval over prompts."
        + _bands(table),
        better="higher",
        other="block",
    )
    return {"gap_over_blocks": curve_with_band(panels, labels, share=True)}


def _bands(table: ArmTable[Row]) -> str:
    """What the bands are: how many null arms of each family, and at which dose."""
    nulls = [r for r in table.rows if r.arm in FAMILY_WORDS]
    if not nulls:
        return ""
    draws = len({r.draw for r in nulls})
    return (
        f" Bands: mean and range of up to {draws} null directions of each family at "
        f"kl={nulls[0].dose:g}."
    )


def _panel(model: str, blocks: Sequence[BlockArms], table: ArmTable[Row]) -> Curve:
    doses = sorted({r.dose for b in blocks for r in b.steered if r.dose is not None})
    arms = {
        f"own vector, kl={dose:g}": Estimates.of(
            [next((gap_of(r, table) for r in b.steered if r.dose == dose), None) for b in blocks]
        )
        for dose in doses
    }
    bands = {
        name: Estimates.over(
            [[gap_of(r, table).estimate for r in b.nulls.get(family, [])] for b in blocks]
        )
        for family, name in FAMILY_WORDS.items()
        if any(b.nulls.get(family) for b in blocks)
    }
    unsteered = next((r for r in table.where(target=model, arm="unsteered")), None)
    references = {} if unsteered is None else {"unsteered": table.arm(unsteered).gap}
    return Curve([b.block for b in blocks], arms, band=bands, references=references)
