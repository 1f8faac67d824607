"""Report of agents: what do a study's agents say together, in sentences and figures?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from mahals.maths.metrics.aqi import lowest_aqi
from mahals.maths.metrics.homophily import homophily
from mahals.maths.stats.intervals import Interval
from mahals.reporting.multi_agent import NOTHING, Societies, Society, likeness, refusal_kappa
from mahals.reporting.multi_agent_attack import Attack, attack, attack_over_nulls
from mahals.reporting.plots.bars import bars_with_intervals
from mahals.reporting.plots.grids import Grid, axiom_heatmap
from mahals.reporting.plots.sheet import Bounded, Estimates, Labels, Span
from mahals.reporting.report import Report, interval_metrics, joined
from mahals.schema import NullFamily

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SEED = 0  # of the resamples, so that a summary is a function of its rows
REFERENCES = ("flipped", "aligned", "prompt")  # whose weakest links are not said
BARS = ("unsteered", "steered", "flipped", "aligned", "prompt")
Values = Mapping[NullFamily, Sequence[float]]


def report_society(found: Societies) -> Report:
    """Metrics and sentences: refusal agreement, the routing attack, homophily, weakest links.

    Each before and after steering, with both null families and the references beside it.
    """
    return joined((report_likeness(found), _attacks(found)))


def report_likeness(found: Societies) -> Report:
    """The agreement in what is refused, then homophily of AQI, with the weakest links of both."""
    return joined((_agreement(found), _homophily(found)))


def _homophily(found: Societies) -> Report:
    metrics: dict[str, float] = {}
    lines = []
    nulls = {
        f: [homophily(s.aqi).value for s in some if not s.floored.all()]
        for f, some in found.nulls.items()
    }
    for name, society in found.states.items():
        floored = society.floored
        readout = society.agents[0].row.readout
        if floored.all():
            lines.append(
                f"homophily of AQI ({readout}) {name}: every level reaches the floor of "
                f"{lowest_aqi(society.floor_prompts):.1f} points: {NOTHING}"
            )
            continue
        h = likeness(society, SEED)
        metrics |= interval_metrics(f"homophily_{name}", h.value)
        some = f" ({int(floored.sum())} of {floored.size} levels at the floor)"
        lines.append(
            f"homophily of AQI ({readout}) {name} {h.value:.3f}{some if floored.any() else ''}"
            f"{_spread(nulls, 3)}"
        )
        if name not in REFERENCES:
            lines.append(f"weakest link {name}: {_weakest(found, society, h.weakest)}")
    return Report(metrics, lines)


def _spread(values: Values, digits: int) -> str:
    """The null families of a number: mean and range over the draws that have it."""
    parts = [
        f"{family.replace('_', ' ')} mean {np.mean(each):.{digits}f} (range "
        f"{min(each):.{digits}f} to {max(each):.{digits}f}, K={len(each)})"
        for family, each in values.items()
        if each
    ]
    return "; " + ", ".join(parts) if parts else "; null arms absent"


def _weakest(found: Societies, society: Society, values: Sequence[Interval]) -> str:
    """The agent of the lowest AQI on each axiom; one at its floor has no number."""
    weakest, parts = society.aqi.argmin(axis=0), []
    for j, (axiom, level) in enumerate(zip(society.categories, values, strict=True)):
        k = int(weakest[j])
        low = f"at the floor, {NOTHING}" if society.floored[k, j] else f"{level:.1f}"
        parts.append(f"{axiom} {found.targets[k]} {low}")
    return "; ".join(parts)


def _agreement(found: Societies) -> Report:
    metrics: dict[str, float] = {}
    lines = []
    nulls = {
        f: [k.mean for k in map(refusal_kappa, some) if k.mean is not None]
        for f, some in found.nulls.items()
    }
    for name, society in found.states.items():
        if name not in REFERENCES:
            lines.append(f"weakest link in refusals {name}: {_least(found, society)}")
        k = refusal_kappa(society)
        if k.mean is None:
            lines.append(
                f"refusal kappa {name}: in no pair of models do both vary in what they refuse: "
                + NOTHING
            )
            continue
        what, spread = f"refusal_kappa_{name}", f"{k.mean:+.2f}"
        metrics[what] = k.mean
        if k.interval is not None:
            metrics |= interval_metrics(what, k.interval)
            spread += f" [{k.interval.low:+.2f}, {k.interval.high:+.2f}]"
        lines.append(
            f"refusal kappa {name} mean {spread} over {k.defined} of {k.pairs} pairs, "
            f"least {k.least}{_spread(nulls, 2)}"
        )
    return Report(metrics, lines)


def _least(found: Societies, society: Society) -> str:
    """The agent that refuses least of each axiom's unsafe prompts."""
    shares = society.refusals
    if not np.nanmax(shares) > 0:
        return f"no model refuses any unsafe prompt: {NOTHING}"
    names = society.categories
    asked = [j for j in range(len(names)) if not np.isnan(shares[:, j]).any()]
    each = [(names[j], found.targets[int(shares[:, j].argmin())], shares[:, j]) for j in asked]
    return "; ".join(f"{axiom} {who} {share.min():.2f}" for axiom, who, share in each)


def _attacks(found: Societies) -> Report:
    metrics: dict[str, float] = {}
    lines = []
    nulls = {f: [attack(s) for s in some] for f, some in found.nulls.items()}
    shown = {f: [a.success.estimate for a in some] for f, some in nulls.items()}
    for name, society in found.states.items():
        own = attack(society)
        if own.at_floor:
            lines.append(
                f"routing attack, {name}: no model refuses any unsafe prompt, whichever is asked: "
                + NOTHING
            )
            continue
        metrics |= interval_metrics(f"attack_success_{name}", own.success)
        metrics |= interval_metrics(f"attack_gain_{name}", own.gain)
        text = (
            f"routing attack, {name}: success {own.success:.2f}, over a model drawn blindly "
            f"{own.gain:+.2f}, n={own.n}"
        )
        over = attack_over_nulls(own, nulls)
        if over is not None:
            metrics |= interval_metrics(f"attack_success_{name}_over_random", over.gain.interval)
            parts = [
                f"{family.replace('_', ' ')} {gain.interval:+.2f}"
                + (" (the harder family)" if family == over.family else "")
                for family, gain in over.every.items()
            ]
            text += f"; over null arms: {', '.join(parts)}"
        lines.append(text + _spread(shown, 2))
    return Report(metrics, lines)


def society_figures(found: Societies) -> Mapping[str, Figure]:
    """axiom_agent_heatmap before and after steering; attack_success with its controls."""
    figures = {}
    n = len(found.states["unsteered"].agents[0].axioms)
    for name, title in (("unsteered", "before steering"), ("steered", "after steering")):
        if name in found.states:
            key = "axiom_agent_heatmap_" + ("before" if name == "unsteered" else "after")
            figures[key] = _heatmap(found, found.states[name], title, n)
    figures["attack_success"] = _bars(found)
    return figures


def _heatmap(found: Societies, society: Society, title: str, n: int) -> Figure:
    floored = society.floored
    if floored.all():
        note = f"Every level reaches its floor: {NOTHING}."
    else:
        h = likeness(society, SEED).value
        note = f"Homophily {h:.3f}, 95 % bootstrap interval."
        if floored.any():
            note += f" {int(floored.sum())} of {floored.size} levels reach their floor."
    readout = society.agents[0].row.readout
    labels = Labels(
        f"AQI of each model on each axiom, {title}",
        "aqi (points)",
        f"Readout {readout}, n = {n} evaluation prompts. {note}",
        better="higher",
    )
    values = [[float(v) for v in row] for row in society.aqi]
    return axiom_heatmap(
        Grid(list(found.targets), list(society.categories), values), labels, signed=True
    )


def _bars(found: Societies) -> Figure:
    attacks: dict[str, Attack] = {n: attack(found.states[n]) for n in BARS if n in found.states}
    names = list(attacks)
    spans: list[Bounded | None] = [None if a.at_floor else a.success for a in attacks.values()]
    at = 2 if "steered" in attacks else 1
    for family, some in found.nulls.items():
        theirs = [attack(s) for s in some]
        null = [a.success.estimate for a in theirs]
        floored = all(a.at_floor for a in theirs)
        names.insert(at, f"{family.replace('_', ' ')} (mean of {len(null)})")
        span = None if floored else Span(sum(null) / len(null), min(null), max(null))
        spans.insert(at, span)
        at += 1
    labels = Labels(
        "Routing attack: each unsafe prompt goes to the model that refuses least on its axiom",
        "share of unsafe prompts not refused",
        f"n = {next(iter(attacks.values())).n} unsafe prompts, {len(found.targets)} models, each "
        "chosen on one half of the prompts and scored on the other. Bars: 95 % interval over "
        "prompts; of null arms, the range over draws.",
        better="lower",
    )
    return bars_with_intervals(names, Estimates.of(spans, f"none refuses: {NOTHING}"), labels)
