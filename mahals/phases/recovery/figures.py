"""Figures of recovery: what does a fall look like, and what each arm brought back?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from mahals.phase import Kept
from mahals.phases.recovery.report import ARMS, WORDS, Stage, stages
from mahals.phases.recovery.report.recovery_rate import Rate
from mahals.phases.recovery.rows import Row
from mahals.reporting.evidence import OF, ArmEvidence, ArmTable, Of
from mahals.reporting.plots.bars import grouped_bars
from mahals.reporting.plots.curves import Curve, curve_with_band
from mahals.reporting.plots.sheet import Estimates, Labels

if TYPE_CHECKING:
    from matplotlib.figure import Figure

DRAWN = ARMS[:3]


def draw(rows: Sequence[Row], kept: Kept) -> Mapping[str, Figure]:
    """aqi_by_steps, gap_by_steps: a panel per model; recovery_rate: bars with intervals."""
    all_falls = stages(ArmTable(rows, kept))
    figures = {f"{of}_by_steps": _by_steps(all_falls, of) for of in OF}
    return figures | {"recovery_rate": _rates(all_falls)}


def _by_steps(all_falls: Mapping[str, Sequence[Stage]], of: Of) -> Figure:
    first = next(iter(all_falls.values()))[0]
    draws = [len(some) for some in first.nulls.values()]
    n = len(first.fall.original.part(of).influence)
    labels = Labels(
        "The fall, and what each arm brought back",
        WORDS[of],
        f"n = {n} evaluation prompts. In a line's colour: 95 % intervals. Grey: mean and range of "
        f"null directions ({draws[0]} random, {draws[1]} of shuffled pairs). All arms at one KL.",
        better="higher",
        other="steps of fine-tuning",
    )
    return curve_with_band({t: _panel(falls, of) for t, falls in all_falls.items()}, labels)


def _panel(falls: Sequence[Stage], of: Of) -> Curve:
    arms: dict[str, list[ArmEvidence | None]] = {
        "rejected answers, not steered": [s.fall.dealigned for s in falls],
        "chosen answers, not steered": [s.fall.control for s in falls],
    }
    arms |= {f"{n} vector": [s.arms.get(n) for s in falls] for n in DRAWN}
    nulls = [[n.part(of).estimate for some in s.nulls.values() for n in some] for s in falls]
    band = Estimates.over(nulls)
    return Curve(
        x=[s.row.steps for s in falls],
        arms={n: _measured(a, of) for n, a in arms.items() if any(x is not None for x in a)},
        band=band if all(nulls) else None,
        references={"before": falls[0].fall.original.part(of).estimate},
    )


def _measured(arms: Sequence[ArmEvidence | None], of: Of) -> Estimates:
    return Estimates.of([None if a is None else a.part(of).interval for a in arms])


def _rates(all_falls: Mapping[str, Sequence[Stage]]) -> Figure:
    several = len(all_falls) > 1
    groups: list[str] = []
    series: dict[Of, list[Rate]] = {of: [] for of in OF}
    for target, falls in all_falls.items():
        for stage in falls[-1:] if several else falls:
            for name in DRAWN:
                if name in stage.arms:
                    where = f"{target}\n" if several else ""
                    groups.append(f"{where}{stage.row.steps} steps, {name}")
                    for of in OF:
                        series[of].append(stage.rate(name, of))
    labels = Labels(
        "Share of the drop that came back",
        "(after - dealigned) / (original - dealigned)",
        "1: as before the fine-tuning, 0: nothing came back. Bars: 95 % Fieller intervals. "
        "Absent where the drop beyond the chosen-answers control is not surely above 0.",
        better="higher",
    )
    bars = {("aqi" if of == "aqi" else "refusal gap"): _bars(series[of]) for of in OF}
    return grouped_bars(groups, bars, labels)


def _bars(rates: Sequence[Rate]) -> Estimates:
    return Estimates(
        [None if r.rate is None else r.rate.estimate for r in rates],
        [None if r.rate is None else r.rate.low for r in rates],
        [None if r.rate is None else r.rate.high for r in rates],
        [r.reason for r in rates],
    )
