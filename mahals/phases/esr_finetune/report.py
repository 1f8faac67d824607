"""Report of esr_finetune: who restarts after a digression, and who comes back to the topic?"""

from collections.abc import Iterator, Sequence
from dataclasses import replace

from mahals.phase import Kept, Summary
from mahals.phases.esr_finetune.rows import Row
from mahals.reporting.evidence import Evidence
from mahals.reporting.resistance import change_line, groups, trial_summary

RATES = ("multi_attempt_rate", "esr_rate", "recovery_multi", "false_restart_rate")


def place(t: Row) -> str:
    """Where a checkpoint is looked at, over taught and other prompts together."""
    if t.situation == "passage":
        concept = "a taught" if t.taught in ("both", "concept") else "an untaught"
        return f"after {concept} concept's passage"
    return f"steered along {t.source} directions" if t.situation == "free" else t.situation


def summarize(rows: Sequence[Row], kept: Kept) -> Summary:
    """Rates of each checkpoint, and what it does more than one that was taught plain answers."""
    columns = ("subject", "situation", "source", "taught")
    told = trial_summary(Evidence(rows, kept), "esr_finetune", columns)
    return replace(told, lines=(*told.lines[:-1], *_changes(rows), *told.lines[-1:]))


def _changes(rows: Sequence[Row]) -> Iterator[str]:
    for model in groups(rows, ("model",)):
        for where in dict.fromkeys(map(place, model.trials)):
            own = groups((t for t in model.trials if place(t) == where), ("subject",))
            plain = next((g for g in own if g.trials[0].subject == "share-0"), None)
            for g in own:
                change = change_line(g, plain, RATES[:2]) if plain and g is not plain else None
                if change is not None:
                    yield f"{model.name}, {where}: {change}".removeprefix("all, ")
