"""Finishing: how do a unit's rows become metrics, sentences, figures, and files that are whole?"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import TYPE_CHECKING, Any

from mahals.harness.runner.output import Output, TaskCost, Unit, install, pretty, show_again
from mahals.harness.runner.report_page import report_page
from mahals.harness.workspace.artifacts import KeptFiles, KeptPlace
from mahals.harness.workspace.code_hash import telling_digest
from mahals.harness.workspace.provenance import Provenance, provenance
from mahals.harness.workspace.results import Results
from mahals.phase import Phase
from mahals.records import from_plain
from mahals.reporting.plots.picture import saved, signed

if TYPE_CHECKING:
    from mahals.harness.engines.process import Report
    from mahals.harness.runner.lab import LabSpec


@dataclass(frozen=True)
class FinishArgs:
    """A unit whose tasks are all in its journal, in the order of the plan."""

    spec: LabSpec
    order: tuple[str, ...]
    place: Unit


@dataclass(frozen=True)
class GatherArgs:
    """The finished units of a phase, and where the gather goes."""

    units: tuple[Results, ...]
    place: Unit


def finish_unit(argument: FinishArgs, report: Report) -> None:
    """Rows, metrics, summary, report, figures and kept files of a unit, each written whole."""
    spec, place = argument.spec, argument.place
    phase = spec.workspace.phase(spec.phase)
    done = spec.journal.read()
    entries = [done[task] for task in argument.order]
    lines = [line for entry in entries for line in entry.rows]
    hashes = {name: value for entry in entries for name, value in entry.kept.items()}
    rows = [from_plain(phase.row, json.loads(line), spec.phase) for line in lines]
    kept = KeptFiles(spec.phase, {spec.unit: KeptPlace(spec.journal.kept, hashes)})
    report("drawing", 0, 1)
    install(
        place,
        Output(
            rows="".join(f"{line}\n" for line in lines).encode(),
            kept_from=spec.journal.kept,
            kept=dict(sorted(hashes.items())),
            tasks=tuple(
                TaskCost(e.seconds, e.budgets, e.halved, e.kernels, e.peak) for e in entries
            ),
            **outputs_of(place, place.run, rows, kept),
        ),
    )


def gather_units(argument: GatherArgs, report: Report) -> None:
    """Metrics, summary, report and figures over all units of a phase."""
    place, units = argument.place, argument.units
    made = outputs_of(place, {**units[0].run(), "models": place.run["models"]}, *evidence(units))
    install(place, Output(rows=None, kept_from=None, kept={}, tasks=(), **made))


def redraw_unit(argument: GatherArgs, report: Report) -> None:
    """Metrics, summary, report and figures of finished results, from their rows and kept files."""
    place, units = argument.place, argument.units
    made = outputs_of(place, units[0].run(), *evidence(units))
    show_again(place, Output(rows=None, kept_from=None, kept={}, tasks=(), **made))


def evidence(units: Sequence[Results]) -> tuple[list[Any], KeptFiles]:
    """All rows of finished units, unit by unit, and their kept files."""
    rows = [row for results in units for row in results.rows()]
    return rows, KeptFiles(units[0].phase, {results.unit: results.kept() for results in units})


def outputs_of(
    place: Unit, run: Mapping[str, Any], rows: Sequence[Any], kept: KeptFiles
) -> dict[str, Any]:
    """metrics.json, summary.json, report.md and the figures of `rows`, as bytes by field of Output.

    `run` says of what weights and training the rows are.
    """
    phase, of = place.workspace.phase(place.phase), provenance(run, rows)
    summary = phase.summarize(rows, kept)
    figures = _figures(phase, of, rows, kept)
    title = f"{place.phase}, {place.unit}"
    report = report_page(title, phase.question, of, summary.lines, figures).encode()
    head = {"fingerprint": place.fingerprint, "phase": place.phase, "unit": place.unit}
    told = {
        "code": telling_digest(phase),
        "provenance": of,
        "figures": {name: sha256(body).hexdigest() for name, body in figures.items()},
        "report": sha256(report).hexdigest(),
        "summary": summary,
    }
    return {
        "metrics": pretty(dict(summary.metrics)),
        "summary": pretty({**head, **told}),
        "report": report,
        "figures": figures,
    }


def _figures(
    phase: Phase, of: Provenance, rows: Sequence[Any], kept: KeptFiles
) -> dict[str, bytes]:
    """The phase's figures by file name, in every form, each saying below of what it is."""
    return {
        f"{name}.{form}": body
        for name, figure in phase.draw(rows, kept).items()
        for form, body in saved(signed(figure, of.line)).items()
    }
