"""Report of esr_prompts: under which wording does a steered model restart and come back?"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from mahals.phase import Kept, Summary
from mahals.phases.esr_prompts.rows import Row
from mahals.reporting.evidence import Evidence
from mahals.reporting.published_resistance import beside_published
from mahals.reporting.resistance import change_line, example_lines, groups, resistance_report

BESIDE = ("none", "placebo")
CHANGES = ("multi_attempt_rate", "esr_rate", "first_score")


def summarize(rows: Sequence[Row], kept: Kept) -> Summary:
    """The rates under each wording, steered and not; steered also less none and less a placebo."""
    table = Evidence(rows, kept)
    report = resistance_report(table, ("subject", "situation", "source", "variant"))
    lines = [*report.lines, *_changes(rows), *example_lines(table)]
    return beside_published(Summary(report.metrics, tuple(lines), (), ()), "esr_prompts")


def _changes(rows: Sequence[Row]) -> Iterator[str]:
    for own in groups((t for t in rows if t.situation == "free"), ("model", "subject", "source")):
        by = {g.name: g for g in groups(own.trials, ("variant",))}
        for other in BESIDE:
            for name, group in by.items():
                line = None if name in BESIDE else change_line(group, by[other], CHANGES)
                if line is not None:
                    yield f"{own.name}, paired, one of {len(by) - len(BESIDE)} wordings: {line}"
