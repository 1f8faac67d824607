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
    held = [own for own in held_arms(Evidence(rows, kept)) if len(own.arms) > 1]
    panels = {", ".join(own.key): _panel(own) for own in held}
    labels = Labels(
        "How often does it restart with which latents held?",
        "share that restarts",
        "A mark is all answers with one set held at 0, or with nothing held.",
        other="KL of next tokens, held against not, nats a token",
    )
    return {"restarts_over_kl": value_over_price(panels, labels)} if panels else {}


def _panel(own: HeldArms) -> Tradeoff:
    rates = {name: g.rates.multi_attempt_rate for name, g in own.arms.items()}
    kls = {NONE: 0.0, **own.kls}
    at = {n: (kls[n], rate.estimate) for n, rate in rates.items() if rate is not None and n in kls}
    dots = {
        f"random sets of {w}": [at[n] for n in own.sets(k) if n in at] for k, w in KINDS.items()
    }
    return Tradeoff({}, dots=dots, landmarks={w: at[n] for n, w in MARKS.items() if n in at})
