"""Figures of esr_detectors: do latents tell digressions where they were not found, too?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from mahals.phase import Kept
from mahals.phases.esr_detectors.rows import Row
from mahals.reporting.plots.sheet import Labels
from mahals.reporting.plots.tradeoff import Tradeoff, value_over_price

if TYPE_CHECKING:
    from matplotlib.figure import Figure

CHANCE = 0.5
KINDS = {"random": "random live latents", "detector": "detectors"}


def draw(rows: Sequence[Row], kept: Kept) -> Mapping[str, Figure]:
    """auc_kept_over_found, a panel for each model and subject."""
    panels = {
        f"{r.model}, {r.subject}: {r.passed} of {r.live} pass": Tradeoff(
            paths={}, dots={name: _aucs(rows, r, what) for what, name in KINDS.items()}
        )
        for r in rows
        if r.what == "search"
    }
    caption = (
        f"Found on {rows[0].prompts} other prompts. A mark is a latent; 0 is chance, both ways."
    )
    title, value = "Do detectors tell digressions on other prompts as well?", "AUC less chance"
    labels = Labels(title, value, caption, "higher", f"{value} on the prompts of the search")
    return {"auc_kept_over_found": value_over_price(panels, labels)}


def _aucs(rows: Sequence[Row], search: Row, what: str) -> list[tuple[float, float]]:
    own = (x for x in rows if (x.model, x.subject, x.what) == (search.model, search.subject, what))
    both = ((x.found, x.kept) for x in own)
    return [(x - CHANCE, y - CHANCE) for x, y in both if x is not None and y is not None]
