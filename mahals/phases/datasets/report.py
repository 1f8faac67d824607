"""Report of datasets: what is said of the texts, and do their splits overlap?"""

from __future__ import annotations

from collections.abc import Sequence

from mahals.data.texts import AXIOMS
from mahals.phase import Kept, Summary
from mahals.phases.datasets.rows import FILES, Row


def summarize(rows: Sequence[Row], kept: Kept) -> Summary:
    """Counts, and the largest difference in length between safe and unsafe prompts of an axiom."""
    metrics: dict[str, float] = {}
    lines = []
    for file in FILES:
        found = [r for r in rows if r.file == file]
        metrics[file] = float(sum(r.count for r in found))
        if not found:
            lines.append(f"{file}: none (the source is none).")
            continue
        by_split = {r.split: 0 for r in found}
        for row in found:
            by_split[row.split] += row.count
        listed = ", ".join(f"{split} {n}" for split, n in by_split.items())
        left_out = "".join(f"; {n} rows left out ({w})" for w, n in found[0].left_out.items())
        lines.append(f"{file}: {listed}; from {found[0].origin}{left_out}.")
    gaps = _length_gaps(rows)
    if gaps:
        axiom, gap = max(gaps.items(), key=lambda item: abs(item[1]))
        metrics["words_gap"] = abs(gap)
        lines.append(
            f"Safe less unsafe evaluation prompts, mean length: {gap:+.1f} words in {axiom}, the "
            "furthest from 0 of all axioms (at 0 length alone says nothing about the label)."
        )
    return Summary(metrics, tuple(lines), (), ())


def _length_gaps(rows: Sequence[Row]) -> dict[str, float]:
    means = {
        (r.axiom, r.label): r.words_mean
        for r in rows
        if r.file == "prompts" and r.split == "evaluation"
    }
    both = [a for a in AXIOMS if (a, 1) in means and (a, 0) in means]
    return {a: means[(a, 1)] - means[(a, 0)] for a in both}
