"""Report of esr: in which situation does which subject restart, and does it come back then?"""

from collections.abc import Iterator, Sequence

from mahals.phase import Kept, Summary
from mahals.phases.esr.rows import Row
from mahals.reporting.evidence import Evidence
from mahals.reporting.resistance import SHORT, change_line, groups, rates_text, trial_summary

CHANGES = ("multi_attempt_rate", "esr_rate", "last_score")


def summarize(rows: Sequence[Row], kept: Kept) -> Summary:
    """The rates of each subject in each situation, what differs between them, first examples."""
    columns = ("subject", "situation", "source")
    return trial_summary(Evidence(rows, kept), "esr", columns, _beside(rows), tuple(SHORT))


def _beside(rows: Sequence[Row]) -> Iterator[str]:
    """Who restarts after a passage on a concept that was taught, and one that was not; changes."""
    for g in groups((t for t in rows if t.situation == "passage"), ("model", "subject", "taught")):
        told = rates_text(g.rates, ("multi_attempt_rate", "recovery_multi"))
        yield f"after a passage, by what was taught: {g.name}: {told}"
    for own in groups(rows, ("model", "subject", "source")):
        by = {g.trials[0].situation: g for g in groups(own.trials, ("situation",))}
        for one in ("first", "own_text"):
            line = change_line(by[one], by["free"], CHANGES) if {one, "free"} <= set(by) else None
            if line is not None:
                yield f"{own.name}, paired: {line}"
