"""Figures of esr_detectors: do latents tell digressions where they were not found, too?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from mahals.phase import Kept
from mahals.phases.esr_detectors.rows import Row
from mahals.reporting.evidence import Evidence
from mahals.reporting.plots.sheet import Labels
from mahals.reporting.plots.tradeoff import Tradeoff, value_over_price

if TYPE_CHECKING:
    from matplotlib.figure import Figure

KINDS = {"random": "random live latents", "detector": "detectors"}


def draw(rows: Sequence[Row], kept: Kept) -> Mapping[str, Figure]:
    """auc_kept_over_found, a panel for each model and subject."""
    table, panels = Evidence[Any](rows, kept), dict[str, Tradeoff]()
    for r in table.where(what="search"):
        own = {k: table.where(model=r.model, subject=r.subject, what=k) for k in KINDS}
        dots = {KINDS[k]: [(x.found - 0.5, x.kept - 0.5) for x in own[k]] for k in KINDS}
        panels[f"{r.model}, {r.subject}: {r.passed} of {r.live} pass"] = Tradeoff({}, dots=dots)
    caption = (
        f"Found on {rows[0].prompts} other prompts. A mark is a latent; 0 is chance, both ways."
    )
    title, value = "Do detectors tell digressions on other prompts as well?", "AUC less chance"
    labels = Labels(title, value, caption, "higher", f"{value} on the prompts of the search")
    return {"auc_kept_over_found": value_over_price(panels, labels)}
