"""Figures of datasets: how long are the texts, by split and label?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from mahals.phase import Kept
from mahals.phases.datasets.rows import Row
from mahals.reporting.evidence import Evidence
from mahals.reporting.plots.bars import grouped_bars
from mahals.reporting.plots.sheet import Estimates, Labels, Span

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def draw(rows: Sequence[Row], kept: Kept) -> Mapping[str, Figure]:
    """`prompt_words`: the length of evaluation prompts by category and label."""
    prompts = Evidence(rows, kept).where(file="prompts", split="evaluation")
    if not prompts:
        return {}
    cells = {(r.axiom, r.label): r for r in prompts}
    axioms = sorted({r.axiom for r in prompts if r.axiom})
    series = {
        name: _measured([cells.get((a, label)) for a in axioms])
        for name, label in (("safe", 1), ("unsafe", 0))
    }
    counts = sorted({r.count for r in cells.values()})
    labels = Labels(
        title="Length of evaluation prompts",
        value="words of a prompt",
        caption=f"n = {' to '.join(map(str, dict.fromkeys((counts[0], counts[-1]))))} prompts per "
        "category and label. Bar: mean; line: 10th to 90th percentile.",
    )
    return {"prompt_words": grouped_bars(axioms, series, labels)}


def _measured(cells: Sequence[Row | None]) -> Estimates:
    spans = [Span(c.words_mean, c.words_low, c.words_high) if c else None for c in cells]
    return Estimates.of(spans, "no prompts")
