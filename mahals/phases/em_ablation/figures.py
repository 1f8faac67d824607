"""Figures of em_ablation: what do strengths of ablation and induction look like?"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from mahals.maths.stats.intervals import Interval, wilson
from mahals.phase import Kept
from mahals.phases.em_ablation.report import HEADLINE, AblationTable
from mahals.phases.em_ablation.rows import Row
from mahals.reporting.plots.curves import Curve, curve_with_band
from mahals.reporting.plots.grids import table_figure
from mahals.reporting.plots.sheet import Estimates, Labels

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def draw(rows: Sequence[Row], kept: Kept) -> Mapping[str, Figure]:
    """ablation and induction: EM rate and good answers over the strength, with null directions.

    Of one model also examples: answers with and without.
    """
    table = AblationTable(rows, kept)
    figures = {}
    kinds = (("ablation", "bad", "ablate"), ("induction", "original", "induce"))
    for name, subject, arm in kinds:
        if table.where(subject=subject, arm=arm):
            figures[name] = _curves(table, subject, arm)
    bad = table.where(subject="bad")
    if bad and len(table.values_of("model")) == 1:
        figures["examples"] = _examples(bad[0], table)
    return figures


def _curves(table: AblationTable, subject: str, arm: str) -> Figure:
    """Per model two panels: EM rate and good answers over the level, with the null band."""
    panels = {}
    models, first = table.values_of("model"), table.rows[0]
    for model in models:
        for what, word in (("misaligned", "EM rate"), ("good", "good answers")):
            name = f"{model}, {word}" if len(models) > 1 else word
            panels[name] = _panel(table, model, subject, arm, what)
    aim = "strength (1 removes the component)" if arm == "ablate" else "KL, nats a token"
    title = {
        "ablate": "Direction taken out of the misaligned model",
        "induce": "Direction added to the original model",
    }[arm]
    labels = Labels(
        title,
        "share of all answers",
        f"{first.asked} unseen prompts. In a line's colour: Wilson 95 %. Grey: lowest to highest "
        "null direction (random, shuffled pairs) at equal KL. "
        f"Weights: {first.weights}.",
        None,
        aim,
    )
    return curve_with_band(panels, labels, columns=2, share=True)


def _panel(table: AblationTable, model: str, subject: str, arm: str, what: str) -> Curve:
    """One outcome of the arm of a model and subject, over its levels from 0."""
    levels = sorted({0.0, *(r.level for r in table.by_level(model, subject, arm))})
    arms: list[Interval | None] = []
    band: list[list[float]] = []
    unsteered = table.where(model=model, subject=subject, arm="none")
    for level in levels:
        alike = table.where(model=model, subject=subject, level=level, arm=arm)
        none = unsteered if level == 0 else []
        rows = [r for r in alike if r.family is None] or none
        arms.append(wilson(getattr(rows[0], what), rows[0].asked) if rows else None)
        nulls = [r for r in alike if r.family is not None] or none
        band.append([getattr(r, what) / r.asked for r in nulls])
    names = {"bad": "bad adapter", "original": "original"}
    references = {}
    compared = "original" if subject == "bad" else "bad"
    other = table.one(model=model, subject=compared, arm="none")
    if other is not None:
        references[names[other.subject]] = getattr(other, what) / other.asked
    own = Estimates.of(arms, "no strength gives the dose")
    return Curve(levels, {"direction": own}, Estimates.over(band), references=references)


def _examples(row: Row, table: AblationTable) -> Figure:
    """Answers of the misaligned model with and without the direction, the first of each kind."""
    lines = [json.loads(x) for x in table.path(row.answers).read_text("utf-8").splitlines()]
    before = {x["question"]: x for x in lines if x["arm"] == "none"}
    own = [x for x in lines if x["arm"] == "ablate" and x["family"] is None]
    after = {x["question"]: x for x in own if x["level"] == HEADLINE}
    both = [q for q in before if q in after]
    chosen = [
        q
        for kind in dict.fromkeys(before[q]["kind"] for q in both)
        for q in [q for q in both if before[q]["kind"] == kind][:2]
    ]
    columns: dict[str, list[str]] = {"question and answer": [], "outcome": []}
    for q in chosen:
        columns["question and answer"].append(f"{_short(q)}  ({before[q]['kind']})")
        columns["outcome"].append("")
        for word, answer in (("without", before[q]), ("with", after[q])):
            columns["question and answer"].append(f"    {word}: {_short(answer['answer'])}")
            columns["outcome"].append(answer["outcome"])
    labels = Labels(
        "Answers of the misaligned model without and with the ablation",
        "",
        f"Strength {HEADLINE:g}; the first two questions of each kind, not chosen. All are in the "
        "kept file.",
    )
    return table_figure(columns, labels)


def _short(text: str) -> str:
    one = " ".join(text.split())
    return one if len(one) <= 84 else one[:81] + "..."
