"""Figures of esr_prompts: who restarts and comes back under which wording?"""

from collections.abc import Sequence

from mahals.phase import Kept
from mahals.phases.esr_prompts.rows import Row
from mahals.reporting.plots.sheet import Labels
from mahals.reporting.resistance import Figures, groups, rates_figure

RATES = {
    "free": ("multi_attempt_rate", "esr_rate", "degenerate_share"),
    "unsteered": ("multi_attempt_rate", "false_restart_rate", "degenerate_share"),
}


def draw(rows: Sequence[Row], kept: Kept) -> Figures:
    """<situation>-<model>-<subject>: rates by wording, steered and unsteered."""
    figures = {}
    for key in dict.fromkeys((t.situation, t.model, t.subject) for t in rows):
        own = [t for t in rows if (t.situation, t.model, t.subject) == key]
        caption = (
            f"{sum(t.line is not None for t in own)} answers of {key[1]}, {key[2]}; the placebo "
            "says nothing of topics. 95 % jackknife over directions, of unsteered ones over "
            "prompts, or Wilson's."
        )
        title = f"{key[2]}, {'steered' if key[0] == 'free' else 'unsteered'}: what does a word do?"
        columns = ("source", "variant") if key[0] == "free" else ("variant",)
        by, labels = groups(own, columns), Labels(title, "share", caption)
        figures["-".join(key)] = rates_figure(by, RATES[key[0]], labels)
    return figures
