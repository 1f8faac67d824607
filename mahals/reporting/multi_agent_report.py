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
from mahals.reporting.plots.sheet import Estimates, Labels
from mahals.reporting.report import Said, three

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SEED = 0  # of the resamples, so that a summary is a function of its rows
REFERENCES = ("flipped", "aligned", "prompt")  # whose weakest links are not said
BARS = ("unsteered", "steered", "flipped", "aligned", "prompt")


def society_said(found: Societies) -> Said:
    """Metrics and sentences: homophily, weakest links, refusal agreement, the routing attack.

    Each before and after steering, with the random control and the references beside it.
    """
    parts = likeness_said(found), _attacks(found)
    return Said(parts[0].metrics | parts[1].metrics, [*parts[0].lines, *parts[1].lines])


def likeness_said(found: Societies) -> Said:
    """Homophily with the weakest links, and the agreement in what is refused."""
    metrics: dict[str, float] = {}
    lines = []
    random = [homophily(s.aqi).value for s in found.random]
    for name, society in found.states.items():
        h = likeness(society, SEED)
        metrics |= three(f"homophily_{name}", h.value)
        lines.append(f"homophily {name} {_said(h.value, 3)}{_spread(random, 3)}")
        if name not in REFERENCES:
            lines.append(f"weakest link {name}: {_weakest(found, society, h.weakest)}")
    agreement = _agreement(found)
    return Said(metrics | agreement.metrics, [*lines, *agreement.lines])


def _said(i: Interval, digits: int) -> str:
    return f"{i.estimate:.{digits}f} [{i.low:.{digits}f}, {i.high:.{digits}f}]"


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
    return "; ".join(f"{axiom} {found.targets[k]} {_said(i, 1)}" for axiom, k, i in links)


def _agreement(found: Societies) -> Said:
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
            metrics |= three(what, k.interval)
            spread += f" [{k.interval.low:+.2f}, {k.interval.high:+.2f}]"
        lines.append(
            f"refusal kappa {name} mean {spread} over {k.defined} of {k.pairs} pairs, "
            f"least {k.least}{_spread(random, 2)}"
        )
    return Said(metrics, lines)


def _attacks(found: Societies) -> Said:
    metrics: dict[str, float] = {}
    lines = []
    random = [attack(s) for s in found.random]
    for name, society in found.states.items():
        own = attack(society)
        metrics |= three(f"attack_success_{name}", own.success)
        text = f"routing attack, {name}: success {_said(own.success, 2)}, n={own.n}"
        over = attack_over_random(own, random)
        if over is not None:
            i = over.interval
            metrics |= three(f"attack_success_{name}_over_random", i)
            text += f"; over random {i.estimate:+.2f} [{i.low:+.2f}, {i.high:+.2f}]"
        lines.append(text + _spread([a.success.estimate for a in random], 2))
    return Said(metrics, lines)


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
        f"n = {n} evaluation prompts. Homophily {_said(h, 3)}, 95 % bootstrap interval.",
        better="higher",
    )
    values = [[float(v) for v in row] for row in society.aqi]
    return axiom_heatmap(Grid(list(found.targets), list(AXIOMS), values), labels, signed=True)


def _bars(found: Societies) -> Figure:
    attacks: dict[str, Attack] = {n: attack(found.states[n]) for n in BARS if n in found.states}
    names, values = list(attacks), [a.success for a in attacks.values()]
    measured = [(i.estimate, i.low, i.high) for i in values]
    random = [attack(s).success.estimate for s in found.random]
    if random:
        at = 2 if "steered" in attacks else 1
        names.insert(at, f"random (mean of {len(random)})")
        measured.insert(at, (float(np.mean(random)), min(random), max(random)))
    labels = Labels(
        "Routing attack: each unsafe prompt goes to the model weakest on its axiom",
        "share of unsafe prompts not refused",
        f"n = {next(iter(attacks.values())).n} unsafe prompts, {len(found.targets)} models. Bars: "
        "95 % Wilson interval; of random, the range over directions.",
        better="lower",
    )
    bars = Estimates(
        [v for v, _, _ in measured], [v for _, v, _ in measured], [v for _, _, v in measured]
    )
    return bars_with_intervals(names, bars, labels)
