"""Figures of collaboration: what do drift, stability and success look like?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from mahals.phase import Kept
from mahals.phases.collaboration.report.intervals import mean_interval, share_interval
from mahals.phases.collaboration.report.talk_table import TalkTable, Who
from mahals.phases.collaboration.rows import BOTH, Row
from mahals.reporting.plots.bars import grouped_bars
from mahals.reporting.plots.curves import Curve, curve_with_band
from mahals.reporting.plots.grids import Grid, axiom_heatmap
from mahals.reporting.plots.sheet import Estimates, Labels
from mahals.reporting.report import varies

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SHOWN = ("none", "weakest", "all", "aligned", "adversarial")


def round_figure(table: TalkTable) -> dict[str, Figure]:
    """`aqi_by_round`: AQI of each agent after each round, per arm, with neutral as reference."""
    within = [r for r in table.where(kind="aqi", null=None) if r.round is not None]
    panels = {}
    for agent in dict.fromkeys(r.agent for r in within):
        arms = [a for a in SHOWN if any(r.arm == a and r.agent == agent for r in within)]
        rounds = sorted({r.round for r in within if r.round is not None})
        if len(rounds) < 2 or not arms:
            continue
        lines = {}
        for arm in arms:
            own = {r.round: r for r in within if (r.arm, r.agent) == (arm, agent)}
            each = [mean_interval(table.values(own[k]).mean(axis=1)) for k in rounds]
            lines[arm] = Estimates.of(each)
        neutral = table.at_end("aqi", Who("none", agent), "neutral")
        at = {} if neutral is None else {"neutral context": float(table.values(neutral).mean())}
        panels[agent] = Curve([float(k) for k in rounds], lines, references=at)
    labels = Labels(
        "AQI of each agent after each round",
        "AQI, points",
        "Mean over conversations with its 95 % interval over them; same prompts throughout. "
        "Neutral context: as long as the whole talk, unsteered.",
        better="higher",
        other="rounds held",
    )
    return {"aqi_by_round": curve_with_band(panels, labels)} if panels else {}


def before_after(table: TalkTable) -> dict[str, Figure]:
    """`drift_<arm>`: AQI per axiom of each agent, after neutral context and after the talk."""
    figures = {}
    for arm in SHOWN:
        names, cells = [], []
        for agent in table.agents(arm):
            for context, word in zip(reversed(BOTH), ("before", "after"), strict=True):
                row = table.at_end("aqi", Who(arm, agent), context)
                if row is not None:
                    names.append(f"{agent} {word}")
                    kinds = row.categories
                    cells.append([float(v) for v in table.values(row).mean(axis=0)])
        if not cells:
            continue
        labels = Labels(
            f"AQI before and after the talk, arm {arm}",
            "AQI, points",
            "Before: neutral context of equal length. Mean over conversations; intervals of the "
            "differences are in the summary.",
            better="higher",
        )
        axioms = [a.replace(" & ", " &\n").replace(" S", "\nS") for a in kinds]
        figures[f"drift_{arm}"] = axiom_heatmap(Grid(names, axioms, cells), labels, weakest=False)
    return figures


def stability_figure(table: TalkTable) -> dict[str, Figure]:
    """`stability`: the index per window and arm; only where there are two windows or more."""
    from matplotlib.ticker import MaxNLocator

    windows = [r for r in table.where(kind="stability", null=None) if r.value is not None]
    rounds = sorted({r.round for r in windows if r.round is not None})
    arms: dict[str, Estimates] = {}
    for arm in dict.fromkeys(r.arm for r in windows):
        own = {r.round: r.value for r in windows if r.arm == arm}
        arms[arm] = Estimates([own.get(k) for k in rounds])
    if not arms or len(rounds) < 2:
        return {}
    partial = any(r.asi is None for r in windows)
    labels = Labels(
        "Agent Stability Index" + (" (partial)" if partial else ""),
        "index, 0 to 1",
        f"Against the first window. Parts observed: {', '.join(windows[0].parts)}. "
        + ("The drift rule is not applied to partial values." if partial else ""),
        better="higher",
        other="window",
    )
    curve = Curve([float(k) for k in rounds], arms)
    figure = curve_with_band({"all agents": curve}, labels)
    figure.axes[0].xaxis.set_major_locator(MaxNLocator(integer=True))
    return {"stability": figure}


def success_figure(table: TalkTable) -> dict[str, Figure]:
    """`success`: of each pair and task, with own, with shuffled and without messages."""
    names = list(dict.fromkeys(f"{r.arm}: {r.agent}" for r in table.where(kind="success")))
    groups = {}
    for context, word in (
        ("talk", "own messages"), ("shuffled", "shuffled messages"), ("alone", "no message"),
    ):  # fmt: skip
        rows = table.where(kind="success", context=context)
        each = {f"{r.arm}: {r.agent}": r for r in rows}
        spread = [share_interval(table.values(each[n])[:, 0]) for n in names]
        groups[word] = Estimates(
            [s.estimate for s in spread],
            [s.low if varies(s) else None for s in spread],
            [s.high if varies(s) else None for s in spread],
        )
    labels = Labels(
        "Split-information tasks",
        "success, share of tasks",
        "95 % intervals over tasks. What the message did is own less shuffled, paired, "
        "in the summary.",
        better="higher",
    )
    return {"success": grouped_bars(names, groups, labels)} if names else {}


def draw(rows: Sequence[Row], kept: Kept) -> Mapping[str, Figure]:
    """aqi_by_round, drift_<arm> (before and after), stability, success."""
    table = TalkTable(rows, kept)
    figures = round_figure(table) | before_after(table)
    return figures | stability_figure(table) | success_figure(table)
