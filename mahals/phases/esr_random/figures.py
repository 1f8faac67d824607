"""Figures of esr_random: where do the detectors lie among random sets of latents?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from mahals.maths.metrics.resistance import NONE
from mahals.phase import Kept
from mahals.phases.esr_random.rows import Row
from mahals.reporting.evidence import Evidence
from mahals.reporting.held_sets import DETECTORS, KINDS, HeldArms, held_arms
from mahals.reporting.plots.sheet import Labels
from mahals.reporting.plots.tradeoff import Tradeoff, value_over_price

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MARKS = {NONE: "nothing held", DETECTORS: "detectors"}


def draw(rows: Sequence[Row], kept: Kept) -> Mapping[str, Figure]:
    """restarts_over_kl, a panel for each subject and situation; none where nothing was held."""
    arms = {", ".join(own.key): own for own in held_arms(Evidence(rows, kept))}
    panels = {name: _panel(own) for name, own in arms.items() if len(own.arms) > 1}
    if not panels:
        return {}
    caption = "A mark is all answers with one set held at 0, or with nothing held."
    labels = Labels(
        "How often does it restart with which latents held?",
        "share that restarts",
        caption,
        other="KL of next tokens, held against not, nats a token",
    )
    return {"restarts_over_kl": value_over_price(panels, labels)}


def _panel(own: HeldArms) -> Tradeoff:
    known = {name: g.rates.multi_attempt_rate for name, g in own.arms.items()}
    rates = {name: rate.estimate for name, rate in known.items() if rate is not None}
    kls = {NONE: 0.0, **own.kls}
    at = {name: (kls[name], rate) for name, rate in rates.items() if name in kls}
    return Tradeoff(
        paths={},
        dots={
            f"random sets of {words}": [
                point for name, point in at.items() if name.startswith(f"{kind}-")
            ]
            for kind, words in KINDS.items()
        },
        landmarks={words: at[name] for name, words in MARKS.items() if name in at},
    )
