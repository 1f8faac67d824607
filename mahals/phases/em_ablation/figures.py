"""Figures of em_ablation: what do strengths of ablation and induction look like?"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from mahals.maths.stats.intervals import Interval, wilson
from mahals.phase import Kept
from mahals.phases.em_ablation.report import HEADLINE, RANDOM, AblationRows
from mahals.phases.em_ablation.rows import Row
from mahals.reporting.plots.curves import Curve, curve_with_band
from mahals.reporting.plots.grids import table
from mahals.reporting.plots.sheet import Estimates, Labels

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def draw(rows: Sequence[Row], kept: Kept) -> Mapping[str, Figure]:
    """ablation and induction: EM rate and good answers over the strength, with random directions.

    Of one model also examples: answers with and without.
    """
    return ablation_figures(rows, kept)


def ablation_figures(rows: Sequence[Any], kept: Kept) -> Mapping[str, Figure]:
    """ablation, induction, and of one model examples."""
    found = {}
    kinds = (("ablation", "bad", "ablate"), ("induction", "original", "induce"))
    for name, subject, arm in kinds:
        if any((r.subject, r.arm) == (subject, arm) for r in rows):
            found[name] = _curves(rows, kept, subject, arm)
    bad = [r for r in rows if r.subject == "bad"]
    if bad and len({r.model for r in rows}) == 1:
        found["examples"] = _examples(bad, kept)
    return found


def _curves(rows: Sequence[Any], kept: Kept, subject: str, arm: str) -> Figure:
    """Per model two panels: EM rate and good answers over the level, with the random band."""
    panels = {}
    models = dict.fromkeys(r.model for r in rows)
    for model in models:
        read = AblationRows([r for r in rows if r.model == model], kept)
        levels = sorted({0.0, *read.levels(subject, arm)})
        for what, word in (("misaligned", "EM rate"), ("good", "good answers")):
            name = f"{model}, {word}" if len(models) > 1 else word
            panels[name] = _panel(read, subject, arm, levels, what)
    aim = "strength (1 removes the component)" if arm == "ablate" else "KL on neutral text, nats"
    title = {
        "ablate": "Direction taken out of the misaligned model",
        "induce": "Direction added to the original model",
    }[arm]
    labels = Labels(
        title,
        "share of all answers",
        f"{rows[0].asked} unseen prompts. In a line's colour: Wilson 95 %. Grey: lowest to highest "
        f"random direction at equal KL. Weights: {rows[0].weights}.",
        None,
        aim,
    )
    return curve_with_band(panels, labels, columns=2, share=True)


def _panel(read: AblationRows, subject: str, arm: str, levels: Sequence[float], what: str) -> Curve:
    arms: list[Interval | None] = []
    band: list[list[float]] = []
    none = read.one(subject, "none")
    for level in levels:
        row = read.one(subject, arm, level) or (none if level == 0 else None)
        arms.append(wilson(getattr(row, what), row.asked) if row is not None else None)
        random = read.drawn(subject, RANDOM[arm], level) or ([none] if level == 0 else [])
        band.append([getattr(r, what) / r.asked for r in random if r is not None])
    names = {"bad": "bad adapter", "original": "original"}
    references = {}
    other = read.one("original" if subject == "bad" else "bad", "none")
    if other is not None:
        references[names[other.subject]] = getattr(other, what) / other.asked
    own = Estimates.of(arms, "no strength gives the dose")
    return Curve(levels, {"direction": own}, Estimates.over(band), references=references)


def _examples(rows: Sequence[Any], kept: Kept) -> Figure:
    """Answers of the misaligned model with and without the direction, the first of each kind."""
    lines = [json.loads(x) for x in kept.path(rows[0].answers).read_text("utf-8").splitlines()]
    before = {x["question"]: x for x in lines if x["arm"] == "none"}
    after = {x["question"]: x for x in lines if x["arm"] == "ablate" and x["level"] == HEADLINE}
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
        for word, found in (("without", before[q]), ("with", after[q])):
            columns["question and answer"].append(f"    {word}: {_short(found['answer'])}")
            columns["outcome"].append(found["outcome"])
    labels = Labels(
        "Answers of the misaligned model without and with the ablation",
        "",
        f"Strength {HEADLINE:g}; the first two questions of each kind, not chosen. All are in the "
        "kept file.",
    )
    return table(columns, labels)


def _short(text: str) -> str:
    one = " ".join(text.split())
    return one if len(one) <= 84 else one[:81] + "..."
