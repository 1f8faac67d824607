"""Report of esr: in which situation does which subject restart, and does it come back then?"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from mahals.phase import Kept, Summary
from mahals.phases.esr.rows import Row
from mahals.reporting.evidence import Evidence
from mahals.reporting.published_resistance import beside_published
from mahals.reporting.resistance import (
    SHORT,
    change_line,
    example_lines,
    groups,
    rates_text,
    resistance_report,
)

PAIRS = (("first", "free"), ("own_text", "free"))
CHANGES = ("multi_attempt_rate", "esr_rate", "last_score")


def summarize(rows: Sequence[Row], kept: Kept) -> Summary:
    """The rates of each subject in each situation, what differs between them, first examples."""
    table = Evidence(rows, kept)
    report = resistance_report(table, ("subject", "situation", "source"), tuple(SHORT))
    lines = [*report.lines, *_taught(rows), *_changes(rows), *example_lines(table)]
    return beside_published(Summary(report.metrics, tuple(lines), (), ()), "esr")


def _taught(rows: Sequence[Row]) -> Iterator[str]:
    """Who restarts after a passage on a concept that was taught, and on one that was not."""
    for g in groups((t for t in rows if t.situation == "passage"), ("model", "subject", "taught")):
        told = rates_text(g.rates, ("multi_attempt_rate", "recovery_multi"))
        yield f"after a passage, by what was taught: {g.name}: {told}"


def _changes(rows: Sequence[Row]) -> Iterator[str]:
    for own in groups(rows, ("model", "subject")):
        by = {g.name: g for g in groups(own.trials, ("situation",))}
        for one, other in PAIRS:
            line = change_line(by[one], by[other], CHANGES) if {one, other} <= set(by) else None
            if line is not None:
                yield f"{own.name}, paired: {line}"
