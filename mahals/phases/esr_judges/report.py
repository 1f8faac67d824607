"""Report of esr_judges: what does each judge know, and on what do any two agree?"""

from __future__ import annotations

from collections.abc import Sequence

from mahals.phase import Kept, Summary
from mahals.phases.esr_judges.rows import Row
from mahals.reporting.evidence import Evidence
from mahals.reporting.planted import planted_lines
from mahals.reporting.published_resistance import beside_published
from mahals.reporting.report import Report, by_model
from mahals.reporting.resistance import PLANTED, POINTS, SHORT

TITLES = {"trials": "answers stored", "planted": "planted answers", "labelled": "labelled file",
          "rates": "answers stored", "exchanged": "exchanged prompts", "pair": ""}  # fmt: skip
NAMES = {**SHORT, "false_splits": "false splits", "auroc": "AUROC", "verdict": "verdict (kappa)",
         "first_scores": "first scores (rho)", "cells": "ESR over cells (tau)"}  # fmt: skip

SHARED = "attempts begin where words say, the same for all judges: there is no kappa of restarts"


def summarize(rows: Sequence[Row], kept: Kept) -> Summary:
    """What is known of each judge, and of each two: `<judge>/<what>/<quantity>`, with its ends."""
    told = by_model(Evidence(rows, kept), _model)
    lines = (*planted_lines(PLANTED, rows), *told.lines, SHARED)
    return beside_published(Summary(told.metrics, lines, (), ()), "esr_judges")


def _model(table: Evidence[Row], model: str) -> Report:
    own, metrics, lines = table.where(model=model), dict[str, float](), list[str]()
    for what, name in dict.fromkeys((w, r.judges) for w in TITLES for r in own if r.what == w):
        some = [r for r in own if (r.what, r.judges) == (what, name)]
        silent = f"; {some[0].abstained} not scored" if some[0].abstained else ""
        head = ", ".join(filter(None, (model, name, TITLES[what])))
        lines.append(f"{head}: {'; '.join(map(_words, some))}{silent}")
        for r in some:
            ends = (("", r.estimate), ("_low", r.low), ("_high", r.high))
            metrics |= {f"{name}/{what}/{r.quantity}{e}": x for e, x in ends if x is not None}
    return Report(metrics, lines)


def _words(row: Row) -> str:
    name, digits = NAMES.get(row.quantity, row.quantity), 0 if row.quantity in POINTS else 2
    if row.population is not None:
        return f"{row.n} of {row.population} {name}"
    if row.estimate is None:
        return f"{name} absent: {row.why}".strip()
    ends = "" if row.low is None else f" [{row.low:.{digits}f}, {row.high:.{digits}f}]"
    return f"{name} {row.estimate:.{digits}f}{ends} of {row.n}"
