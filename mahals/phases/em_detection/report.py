"""Report of em_detection: how well is a misaligned model told apart?"""

from __future__ import annotations

from collections.abc import Sequence

from mahals.maths.misalignment import published
from mahals.phase import Kept, Summary
from mahals.phases.em_detection.rows import Row
from mahals.reporting.evidence import Evidence
from mahals.reporting.planted import planted_lines
from mahals.reporting.report import Report
from mahals.schema import VectorCard

FITTED = ("bad", "original")
PLANTED = (
    "planted: the organisms' base was taught a careless persona, and one domain's bad answers "
    "re-select it; what is told apart here is that persona, which was put there"
)
NAMES = {
    FITTED: "bad, original",
    ("bad", "good"): "bad, good advice",
    ("good", "original"): "good advice, original",
    ("other", "original"): "never seen, original",
    ("other", "good"): "never seen, good advice",
}


def headline(rows: Sequence[Row]) -> int:
    """The block nearest relative depth .6: fixed before anything is measured."""
    depth = max(r.block for r in rows) + 1
    return min(range(depth), key=lambda b: (abs((b + 1) / depth - 0.6), b))


def report_detection(table: Evidence[Row]) -> Report:
    """Of each model, position and method the numbers at one fixed block, and at the best one."""
    metrics: dict[str, float] = {}
    lines: list[str] = []
    models = table.values_of("model")
    for key in dict.fromkeys((r.model, r.position, r.method) for r in table.rows):
        own = table.where(model=key[0], position=key[1], method=key[2])
        block = headline(own)
        prefix = (f"{key[0]}/" if len(models) > 1 else "") + f"{key[1]}/{key[2]}/"
        for r in own:
            if r.block == block:
                metrics |= _metrics(r, prefix)
                lines.append(_line(r))
        best = max((r for r in own if (r.positive, r.negative) == FITTED), key=lambda r: r.auroc)
        lines.append(
            f"{', '.join(key)}: the best block would be {best.block}, AUROC {best.auroc:.3f} "
            "(chosen on the same prompts)"
        )
    lines.append(published.published_sentence())
    return Report(metrics, lines)


def _metrics(r: Row, prefix: str) -> dict[str, float]:
    name = f"{prefix}{r.positive}_over_{r.negative}"
    metrics = {f"{name}_auroc": r.auroc, f"{name}_auroc_low": r.auroc_low}
    metrics[f"{name}_auroc_random"] = r.random_mean
    metrics[f"{name}_auroc_shuffled_pairs"] = r.shuffled_mean
    if r.in_sample is not None:
        metrics[f"{prefix}separation"] = r.separation
        metrics[f"{prefix}separation_in_sample_published_form"] = r.in_sample
    if r.cosine_to_other is not None:
        metrics[f"{prefix}cosine_to_other_adapter"] = r.cosine_to_other
    return metrics


def _line(r: Row) -> str:
    text = (
        f"{r.model}, {r.position}, {r.method}, block {r.block}, "
        f"{NAMES[r.positive, r.negative]}: AUROC {r.auroc:.3f} "
        f"[{r.auroc_low:.3f}, {r.auroc_high:.3f}] on {r.scored} unseen prompts (random directions "
        f"{r.random_mean:.3f}, best of {r.random_directions} {r.random_best:.3f}; of shuffled "
        f"pairs {r.shuffled_mean:.3f}, best of {r.shuffles} {r.shuffled_best:.3f}); separation "
        f"{r.separation:+.3f} [{r.separation_low:+.3f}, {r.separation_high:+.3f}]"
    )
    if r.in_sample is not None:
        text += f", in-sample (the published form) {r.in_sample:+.3f}"
    if r.cosine_to_other is not None:
        text += f"; cosine to the other adapter's direction {r.cosine_to_other:+.3f}"
    return text


def summarize(rows: Sequence[Row], kept: Kept) -> Summary:
    """AUROC and separation at one block, beside null directions and the published figure.

    The best block is chosen on the numbers shown: it is an upper end, and every block is a row.
    """
    report = report_detection(Evidence(rows, kept))
    lines = (*planted_lines(PLANTED, rows), *report.lines)
    return Summary(report.metrics, lines, (), direction_cards(rows))


def direction_cards(rows: Sequence[Row]) -> tuple[VectorCard, ...]:
    """A card for each direction of em_detection's rows: all can misalign."""
    last = {row.direction: row for row in rows}
    return tuple(
        VectorCard(
            name=f"{row.model}.misalignment.{row.position}.{row.method}",
            reference=reference,
            target=row.model,
            source=row.model,
            method=f"misalignment {row.method}, {row.position}",
            selection_score=None,
            metadata={
                "dual_use": True,
                "purpose": "added it misaligns; taken out it is an arm of em_ablation",
                "position": row.position,
            },
        )
        for reference, row in last.items()
    )
