"""Report of datasets: what is said of the texts, and do their splits overlap?"""

from __future__ import annotations

from collections.abc import Sequence

from mahals.data.texts import AXIOMS
from mahals.phase import Kept, Summary
from mahals.phases.datasets.rows import FILES, File, Row
from mahals.reporting.evidence import Evidence
from mahals.reporting.report import Report, joined


def summarize(rows: Sequence[Row], kept: Kept) -> Summary:
    """Counts, and the largest difference in length between safe and unsafe prompts of an axiom."""
    table = Evidence(rows, kept)
    report = joined([*(_counts(f, table.where(file=f)) for f in FILES), _length_gap(table)])
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


def _length_gap(table: Evidence[Row]) -> Report:
    """The axiom whose safe and unsafe evaluation prompts differ most in length."""
    cells = table.where(file="prompts", split="evaluation")
    means = {(r.axiom, r.label): r.words_mean for r in cells}
    both = [a for a in AXIOMS if (a, 1) in means and (a, 0) in means]
    if not both:
        return Report({}, [])
    gaps = {a: means[(a, 1)] - means[(a, 0)] for a in both}
    axiom, gap = max(gaps.items(), key=lambda item: abs(item[1]))
    line = (
        f"Safe less unsafe evaluation prompts, mean length: {gap:+.1f} words in {axiom}, the "
        "furthest from 0 of all axioms (at 0 length alone says nothing about the label)."
    )
    return Report({"words_gap": abs(gap)}, [line])
