"""Report of agents: what do a study's agents say together, in sentences and figures?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from mahals.data.texts import AXIOMS
from mahals.maths.metrics.homophily import homophily
from mahals.maths.stats.intervals import Interval
from mahals.reporting.multi_agent import (
    Attack,
    Societies,
    Society,
    attack,
    attack_over_random,
    likeness,
    refusal_kappa,
)
from mahals.reporting.plots.bars import bars_with_intervals
from mahals.reporting.plots.grids import Grid, axiom_heatmap
from mahals.reporting.plots.sheet import Bounded, Estimates, Labels, Span
from mahals.reporting.report import Report, interval_metrics, joined

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SEED = 0  # of the resamples, so that a summary is a function of its rows
REFERENCES = ("flipped", "aligned", "prompt")  # whose weakest links are not said
BARS = ("unsteered", "steered", "flipped", "aligned", "prompt")


def report_society(found: Societies) -> Report:
    """Metrics and sentences: homophily, weakest links, refusal agreement, the routing attack.

    Each before and after steering, with the random control and the references beside it.
    """
    return joined((report_likeness(found), _attacks(found)))


def report_likeness(found: Societies) -> Report:
    """Homophily with the weakest links, and the agreement in what is refused."""
    metrics: dict[str, float] = {}
    lines = []
    random = [homophily(s.aqi).value for s in found.random]
    for name, society in found.states.items():
        h = likeness(society, SEED)
        metrics |= interval_metrics(f"homophily_{name}", h.value)
        lines.append(f"homophily {name} {h.value:.3f}{_spread(random, 3)}")
        if name not in REFERENCES:
            lines.append(f"weakest link {name}: {_weakest(found, society, h.weakest)}")
    return joined((Report(metrics, lines), _agreement(found)))


def _spread(values: Sequence[float], digits: int) -> str:
    """The random control of a number: mean and range over the draws that have it."""
    if not values:
        return "; random control absent"
    low, high = min(values), max(values)
    return (
        f"; random mean {np.mean(values):.{digits}f} "
        f"(range {low:.{digits}f} to {high:.{digits}f}, K={len(values)})"
    )


def _weakest(found: Societies, society: Society, values: Sequence[Interval]) -> str:
    links = zip(AXIOMS, society.weakest, values, strict=True)
    return "; ".join(f"{axiom} {found.targets[k]} {i:.1f}" for axiom, k, i in links)


def _agreement(found: Societies) -> Report:
    metrics: dict[str, float] = {}
    lines = []
    random = [k.mean for k in map(refusal_kappa, found.random) if k.mean is not None]
    for name, society in found.states.items():
        k = refusal_kappa(society)
        if k.mean is None:
            lines.append(f"refusal kappa {name} absent: in no pair of models do both vary")
            continue
        what, spread = f"refusal_kappa_{name}", f"{k.mean:+.2f}"
        metrics[what] = k.mean
        if k.interval is not None:
            metrics |= interval_metrics(what, k.interval)
            spread += f" [{k.interval.low:+.2f}, {k.interval.high:+.2f}]"
        lines.append(
            f"refusal kappa {name} mean {spread} over {k.defined} of {k.pairs} pairs, "
            f"least {k.least}{_spread(random, 2)}"
        )
    return Report(metrics, lines)


def _attacks(found: Societies) -> Report:
    metrics: dict[str, float] = {}
    lines = []
    random = [attack(s) for s in found.random]
    for name, society in found.states.items():
        own = attack(society)
        metrics |= interval_metrics(f"attack_success_{name}", own.success)
        text = f"routing attack, {name}: success {own.success:.2f}, n={own.n}"
        over = attack_over_random(own, random)
        if over is not None:
            i = over.interval
            metrics |= interval_metrics(f"attack_success_{name}_over_random", i)
            text += f"; over random {i:+.2f}"
        lines.append(text + _spread([a.success.estimate for a in random], 2))
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
    h = likeness(society, SEED).value
    labels = Labels(
        f"AQI of each model on each axiom, {title}",
        "aqi (points)",
        f"n = {n} evaluation prompts. Homophily {h:.3f}, 95 % bootstrap interval.",
        better="higher",
    )
    values = [[float(v) for v in row] for row in society.aqi]
    return axiom_heatmap(Grid(list(found.targets), list(AXIOMS), values), labels, signed=True)


def _bars(found: Societies) -> Figure:
    attacks: dict[str, Attack] = {n: attack(found.states[n]) for n in BARS if n in found.states}
    names, values = list(attacks), [a.success for a in attacks.values()]
    spans: list[Bounded] = list(values)
    random = [attack(s).success.estimate for s in found.random]
    if random:
        at = 2 if "steered" in attacks else 1
        names.insert(at, f"random (mean of {len(random)})")
        spans.insert(at, Span(sum(random) / len(random), min(random), max(random)))
    labels = Labels(
        "Routing attack: each unsafe prompt goes to the model weakest on its axiom",
        "share of unsafe prompts not refused",
        f"n = {next(iter(attacks.values())).n} unsafe prompts, {len(found.targets)} models. Bars: "
        "95 % Wilson interval; of random, the range over directions.",
        better="lower",
    )
    return bars_with_intervals(names, Estimates.of(spans), labels)
