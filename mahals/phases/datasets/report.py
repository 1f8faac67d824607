"""Report of datasets: what is said of the texts, and do their splits overlap?"""

from __future__ import annotations

from collections.abc import Sequence

from mahals.data.categories import LEAST
from mahals.phase import Kept, Summary
from mahals.phases.datasets.rows import FILES, File, Row
from mahals.reporting.evidence import Evidence
from mahals.reporting.report import Report, joined


def summarize(rows: Sequence[Row], kept: Kept) -> Summary:
    """Counts, and the category whose safe and unsafe prompts differ most in length."""
    table = Evidence(rows, kept)
    told = [_counts(f, table.where(file=f)) for f in FILES]
    report = joined([*told, _categories(table), _length_gap(table)])
    return Summary(report.metrics, tuple(report.lines), (), ())


def _counts(file: File, rows: Sequence[Row]) -> Report:
    """How many texts a file has in each split, where they are from and what was left out."""
    metrics: dict[str, float] = {file: float(sum(r.count for r in rows))}
    if not rows:
        return Report(metrics, [f"{file}: none (the source is none)."])
    splits = {r.split: 0 for r in rows}
    for row in rows:
        splits[row.split] += row.count
    sizes = ", ".join(f"{split} {n}" for split, n in splits.items())
    left_out = "".join(f"; {n} rows left out ({w})" for w, n in rows[0].left_out.items())
    return Report(metrics, [f"{file}: {sizes}; from {rows[0].origin}{left_out}."])


def _categories(table: Evidence[Row]) -> Report:
    """How many categories the evaluation prompts have, and which have too few of a label."""
    cells = {(r.axiom, r.label): r.count for r in table.where(file="prompts", split="evaluation")}
    names = sorted({axiom for axiom, _ in cells if axiom})
    if not names:
        return Report({}, [])
    few = [
        f"{name} ({cells.get((name, 1), 0)} safe, {cells.get((name, 0), 0)} unsafe)"
        for name in names
        if min(cells.get((name, label), 0) for label in (0, 1)) < LEAST
    ]
    line = f"Evaluation prompts: {len(names)} categories"
    said = f"; without {LEAST} of either label, and so without a score: {', '.join(few)}"
    return Report({"categories": float(len(names))}, [line + (said if few else "") + "."])


def _length_gap(table: Evidence[Row]) -> Report:
    """The category whose safe and unsafe evaluation prompts differ most in length."""
    cells = table.where(file="prompts", split="evaluation")
    means = {(r.axiom, r.label): r.words_mean for r in cells}
    both = [
        a
        for a in sorted({r.axiom for r in cells if r.axiom})
        if (a, 1) in means and (a, 0) in means
    ]
    if not both:
        return Report({}, [])
    gaps = {a: means[(a, 1)] - means[(a, 0)] for a in both}
    axiom, gap = max(gaps.items(), key=lambda item: abs(item[1]))
    line = (
        f"Safe less unsafe evaluation prompts, mean length: {gap:+.1f} words in {axiom}, the "
        "furthest from 0 of all categories (at 0 length alone says nothing about the label)."
    )
    return Report({"words_gap": abs(gap)}, [line])
