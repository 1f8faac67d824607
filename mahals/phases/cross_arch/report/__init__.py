"""Report of cross_arch: what does a vector do in another model, against what?"""

from __future__ import annotations

from collections.abc import Sequence

from mahals.phase import Kept, Summary
from mahals.phases.cross_arch.report.controls import control_name, report_random_weights
from mahals.phases.cross_arch.report.homophily import report_homophily
from mahals.phases.cross_arch.report.transfer import report_transfer
from mahals.phases.cross_arch.rows import Row
from mahals.reporting.detector import detector_line
from mahals.reporting.entries import entries
from mahals.reporting.evidence import ArmTable
from mahals.reporting.gains import collect
from mahals.reporting.headlines import report_line
from mahals.reporting.lines import lines
from mahals.reporting.report import Report, joined


def summarize(rows: Sequence[Row], kept: Kept) -> Summary:
    """Per source, target and map: refusal gap over the nulls, efficiency, price; likeness.

    At the headline dose, at which all arms are equal, and of each crossing at the dose chosen on
    the selection split. Metric names carry the target only when there are several. What a target
    with random weights does has metrics and lines, and no place on the leaderboard.
    """
    table = ArmTable(ranked_arms(rows), kept)
    arms = collect(table)
    several = len(table.values_of("target")) > 1
    parts: list[Report] = []
    shares: dict[int, float | str] = {}
    index = {id(r): i for i, r in enumerate(table.rows)}
    for e in arms:
        transfer = report_transfer(e, arms, table)
        if transfer.efficiency is not None:
            shares[index[id(e.row)]] = transfer.efficiency
        if e.row.at_headline and e.row.arm != "flipped":
            parts.append(transfer.report.under(_prefix(e.row, several)))
    parts += [
        report_line(line).under(_prefix(line.chosen.row, several)) for line in lines(arms, table)
    ]
    missed = dict.fromkeys(f"{r.target}: {why}" for r in rows for why in r.missed)
    untrained = ArmTable([r for r in rows if r.target_role == "random"], kept)
    parts += [Report({}, list(missed)), report_random_weights(untrained, several)]
    parts += [report_homophily(table), Report({}, [detector_line(table)])]
    told = joined(parts)
    return Summary(told.metrics, tuple(told.lines), entries(table, arms, shares), ())


def _prefix(row: Row, several: bool) -> str:
    """What stands before the metrics of an arm."""
    prefix = f"{row.target}/" if several else ""
    prefix += f"{row.source}/{row.map or 'native'}/"
    return prefix + ("" if row.arm == "steered" else f"{control_name(row)}/")


def ranked_arms(rows: Sequence[Row]) -> list[Row]:
    """The rows of trained targets, without the arms of strength 0: these are a check."""
    return [r for r in rows if r.target_role == "base" and not (r.on_grid and r.dose == 0)]
