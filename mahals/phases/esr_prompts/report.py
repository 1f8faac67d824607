"""Report of esr_prompts: under which wording does a steered model restart and come back?"""

from collections.abc import Iterator, Sequence

from mahals.phase import Kept, Summary
from mahals.phases.esr_prompts.rows import Row
from mahals.reporting.evidence import Evidence
from mahals.reporting.resistance import change_line, groups, trial_summary

BESIDE = ("none", "placebo")
CHANGES = ("multi_attempt_rate", "esr_rate", "first_score")


def summarize(rows: Sequence[Row], kept: Kept) -> Summary:
    """The rates under each wording, steered and not; steered also less none and less a placebo."""
    columns = ("subject", "situation", "source", "variant")
    return trial_summary(Evidence(rows, kept), "esr_prompts", columns, _changes(rows))


def _changes(rows: Sequence[Row]) -> Iterator[str]:
    for own in groups((t for t in rows if t.situation == "free"), ("model", "subject", "source")):
        by = {g.name: g for g in groups(own.trials, ("variant",))}
        wordings = [group for name, group in by.items() if name not in BESIDE]
        for other in BESIDE:
            for line in filter(None, (change_line(g, by[other], CHANGES) for g in wordings)):
                yield f"{own.name}, paired, one of {len(by) - len(BESIDE)} wordings: {line}"
