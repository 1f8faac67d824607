"""Figures of esr_finetune: what does the share of self-corrections do, what the way to teach?"""

from collections.abc import Sequence

from mahals.phase import Kept
from mahals.phases.esr_finetune.report import RATES, place
from mahals.phases.esr_finetune.rows import Row
from mahals.reporting.plots.curves import Curve, curve_with_band
from mahals.reporting.plots.sheet import Estimates, Labels
from mahals.reporting.resistance import SHORT, Figures, groups, rates_figure

CAPTION = "95 % jackknife over directions, over prompts where there is one, or Wilson's."


def draw(rows: Sequence[Row], kept: Kept) -> Figures:
    """rates_by_share, a panel for each place; modes_<place>, with the ways to teach half."""
    panels, figures = {}, {}
    for where in dict.fromkeys(map(place, rows)):
        own = [t for t in rows if place(t) == where]
        for model in groups(own, ("model",)):
            found = groups(model.trials, ("subject",))
            by = {g.trials[0].subject.replace("planted", "share-0.5"): g.rates for g in found}
            known = {float(s[6:]): r for s, r in by.items() if s.startswith("share-")}
            arms = {
                SHORT[n]: Estimates.of([getattr(r, n) for r in known.values()]) for n in RATES[:2]
            }
            short = where.removeprefix("after ").removeprefix("steered along ")
            name = f"{model.name}, {short}".removeprefix("all, ").replace("concept's ", "")
            panels[name] = Curve(list(known), arms)
        halves = groups((t for t in own if "share-0." not in t.subject), ("model", "subject"))
        labels = Labels(f"Who comes back? {where.capitalize()}", "share of answers", CAPTION)
        name = where.replace(" ", "_").replace("'", "")
        figures[f"modes_{name}"] = rates_figure(halves, RATES, labels)
    axis = "share of self-corrections among the lessons"
    labels = Labels("What does the share of self-corrections do?", "share", CAPTION, None, axis)
    return figures | {"rates_by_share": curve_with_band(panels, labels, columns=2, share=True)}
