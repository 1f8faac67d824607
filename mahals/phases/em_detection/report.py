"""Report of em_detection: how well is a misaligned model told apart?"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from mahals.maths.misalignment import published
from mahals.phase import Kept, Summary
from mahals.phases.em_detection.rows import Row
from mahals.reporting.plots.curves import Curve, curve_with_band
from mahals.reporting.plots.sheet import Estimates, Labels, Span
from mahals.schema import VectorCard

if TYPE_CHECKING:
    from matplotlib.figure import Figure

FITTED = ("bad", "original")
NAMES = {
    FITTED: "bad, original",
    ("bad", "good"): "bad, good advice",
    ("good", "original"): "good advice, original",
    ("other", "original"): "never seen, original",
    ("other", "good"): "never seen, good advice",
}
SUBJECTS = ("original", "bad", "good", "other")


def _headline(rows: Sequence[Any]) -> int:
    """The block nearest relative depth .6: fixed before anything is measured."""
    depth = max(r.block for r in rows) + 1
    return min(range(depth), key=lambda b: (abs((b + 1) / depth - 0.6), b))


def report_detection(rows: Sequence[Any]) -> tuple[dict[str, float], list[str]]:
    """Of each model, position and method the numbers at one fixed block, and at the best one."""
    metrics: dict[str, float] = {}
    lines: list[str] = []
    models = dict.fromkeys(r.model for r in rows)
    for key in dict.fromkeys((r.model, r.position, r.method) for r in rows):
        own = [r for r in rows if (r.model, r.position, r.method) == key]
        block = _headline(own)
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
    lines.append(published.said())
    return metrics, lines


def _metrics(r: Any, prefix: str) -> dict[str, float]:
    name = f"{prefix}{r.positive}_over_{r.negative}"
    found = {f"{name}_auroc": r.auroc, f"{name}_auroc_low": r.auroc_low}
    found[f"{name}_auroc_random"] = r.random_mean
    if r.in_sample is not None:
        found[f"{prefix}separation"] = r.separation
        found[f"{prefix}separation_in_sample_published_form"] = r.in_sample
    if r.cosine_to_other is not None:
        found[f"{prefix}cosine_to_other_adapter"] = r.cosine_to_other
    return found


def _line(r: Any) -> str:
    text = (
        f"{r.model}, {r.position}, {r.method}, block {r.block}, "
        f"{NAMES[r.positive, r.negative]}: AUROC {r.auroc:.3f} "
        f"[{r.auroc_low:.3f}, {r.auroc_high:.3f}] on {r.scored} unseen prompts (random directions "
        f"{r.random_mean:.3f}, best of {r.random_directions} {r.random_best:.3f}); separation "
        f"{r.separation:+.3f} [{r.separation_low:+.3f}, {r.separation_high:+.3f}]"
    )
    if r.in_sample is not None:
        text += f", in-sample (the published form) {r.in_sample:+.3f}"
    if r.cosine_to_other is not None:
        text += f"; cosine to the other adapter's direction {r.cosine_to_other:+.3f}"
    return text


def _auroc(rows: Sequence[Any]) -> Figure:
    """One panel per model, position and method; lines are contrasts, the band random directions."""
    panels = {}
    keys = list(dict.fromkeys((r.model, r.position, r.method) for r in rows))
    several = len({k[0] for k in keys}) > 1
    for key in keys:
        own = [r for r in rows if (r.model, r.position, r.method) == key]
        blocks = sorted({r.block for r in own})
        arms = {}
        for pair, name in NAMES.items():
            line = sorted(
                (r for r in own if (r.positive, r.negative) == pair), key=lambda r: r.block
            )
            if line:
                arms[name] = Estimates.of([Span(r.auroc, r.auroc_low, r.auroc_high) for r in line])
        line = sorted((r for r in own if (r.positive, r.negative) == FITTED), key=lambda r: r.block)
        band = Estimates.of([Span(r.random_mean, 0.5, r.random_best) for r in line])
        name = f"{key[1]}, {key[2].replace('_', ' ')}"
        panels[f"{key[0]} {name}" if several else name] = Curve(
            blocks, arms, band, references={"chance": 0.5}
        )
    labels = Labels(
        "Is a misaligned model told apart on unseen prompts?",
        "AUROC",
        f"{rows[0].scored} prompts that no direction was fitted on. In a line's colour: 95 % "
        "jackknife. Grey: random directions, from chance to the best. Never seen: an adapter of "
        "another domain.",
        "higher",
        "block",
    )
    return _whole(curve_with_band(panels, labels, columns=2, share=True))


def _whole(figure: Figure) -> Figure:
    """The figure with blocks at whole numbers."""
    for axes in figure.get_axes():
        locator: Any = axes.get_xaxis().get_major_locator()
        locator.set_params(integer=True)
    return figure


def summarize(rows: Sequence[Row], kept: Kept) -> Summary:
    """AUROC and separation at the best block, beside random directions and the published figure.

    The best block is chosen on the numbers shown: it is an upper end, and every block is a row.
    """
    metrics, lines = report_detection(rows)
    return Summary(metrics, tuple(lines), (), direction_cards(rows))


def direction_cards(rows: Sequence[Any]) -> tuple[VectorCard, ...]:
    """A card for each direction of em_detection's rows: all can misalign."""
    found = {row.direction: row for row in rows}
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
        for reference, row in found.items()
    )
