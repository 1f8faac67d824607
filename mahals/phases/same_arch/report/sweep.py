"""Sweep report: what does a sweep over one model's own vector say, beside its headline?"""

from __future__ import annotations

import itertools
from collections.abc import Sequence

from mahals.maths.stats.controls import GainOverRandom
from mahals.phases.same_arch.report.axioms import effects, left_out
from mahals.phases.same_arch.report.baselines import report_baselines
from mahals.phases.same_arch.report.propagation import split
from mahals.phases.same_arch.report.refusals import report_refusals
from mahals.phases.same_arch.report.steerability import steerability
from mahals.phases.same_arch.rows import Row
from mahals.reporting.evidence import ArmTable
from mahals.reporting.gains import ArmGains, trend, trend_over_random
from mahals.reporting.headlines import headline_line, headline_metrics, over_words
from mahals.reporting.null_arms import dose_key
from mahals.reporting.report import Report, interval_metrics, joined
from mahals.schema import Label

CONTROLS = ("flipped", "permuted_layers")


def report_headline(
    e: ArmGains[Row], gains: Sequence[ArmGains[Row]], table: ArmTable[Row]
) -> Report:
    """The vector at the headline dose: refusal gap over every family of nulls, AQI beside it."""
    row = e.row
    metrics, told = headline_metrics(e, ""), [headline_line(e)]
    parts = split(row, table)
    if parts is not None:
        metrics |= interval_metrics("same_block", parts.same_block) | interval_metrics(
            "propagated", parts.propagated
        )
        told.append(f"{_who(row)}: aqi gain {e.gain.estimate:+.2f} is {parts.sentence()}")
    out = left_out(row, table)
    if out is not None:
        for where, part in (("left_out", out.inside), ("other_axioms", out.others)):
            metrics |= interval_metrics(f"{where}_gain", part.gain)
            metrics |= _over(f"{where}_gain", part.over_random)
        told.append(f"{_who(row)}: {out.sentence()}")
    return joined(
        (
            Report(metrics, told),
            report_refusals(e, table),
            report_baselines(e, table),
            _controls(row, gains),
            _effects(row, table),
        )
    )


def _who(row: Row) -> str:
    return f"{row.target}, {row.operator} {row.placement}, {row.dose_kind}={row.dose:g}"


def _over(what: str, over: GainOverRandom | None) -> dict[str, float]:
    return {} if over is None else interval_metrics(f"{what}_over_random", over.interval)


def _controls(row: Row, gains: Sequence[ArmGains[Row]]) -> Report:
    """What the vector subtracted, and its layers permuted, do over the same nulls."""
    metrics: dict[str, float] = {}
    texts = []
    for e in gains:
        if dose_key(e.row) != dose_key(row) or e.row.arm not in CONTROLS:
            continue
        metrics |= headline_metrics(e, f"{e.row.arm}/")
        texts.append(f"{e.row.arm.replace('_', ' ')}: {over_words(e)}")
    line = f"{_who(row)}, refusal gap of the controls: " + "; ".join(texts)
    return Report(metrics, [line] if texts else [])


def _effects(row: Row, table: ArmTable[Row]) -> Report:
    matrix = effects(row, table)
    if matrix is None:
        return Report({}, [])
    clear = sum(
        low is not None and high is not None and (low > 0 or high < 0)
        for lows, highs in zip(matrix.grid.lows, matrix.grid.highs, strict=True)
        for low, high in zip(lows, highs, strict=True)
    )
    known = sum(v is not None for r in matrix.grid.values for v in r)
    line = f"{_who(row)}, effect matrix: {clear} of {known} cells differ from random (95 % each)"
    own = matrix.own_over_others
    if own is None:
        return Report({}, [line + "; own axiom minus others absent: an axiom has no vector"])
    line += f"; each vector on its own axiom minus on the others {own:+.2f} points"
    return Report(interval_metrics("own_axiom_over_others", own), [line])


def report_grid(group: Sequence[Row], table: ArmTable[Row]) -> Report:
    """The lambda grid of one vector: the trend of aqi, the steerability."""
    metrics: dict[str, float] = {}
    told = []
    first = group[0]
    who = f"{first.target}, {first.operator} {first.placement}"
    if len(group) > 2:
        slope = _report_trend(group, table)
        metrics |= slope.metrics
        told += [f"{who} {line}" for line in slope.lines]
    steered = steerability(group, table)
    for s in steered:
        metrics |= interval_metrics(f"steerability_{s.label}", s.slope)
        metrics |= _over(f"steerability_{s.label}", s.over_random)
        metrics |= interval_metrics(f"anti_steerable_{s.label}", s.anti)
    if steered:
        text = "; ".join(s.sentence() for s in steered)
        told.append(f"{who} steerability (slope of propensity, nats per token per lambda): {text}")
    return Report(metrics, told)


def _report_trend(group: Sequence[Row], table: ArmTable[Row]) -> Report:
    """The slope of aqi over lambda, and over that of the random directions on the same grid."""
    slope, over = trend(group, table), trend_over_random(group, table)
    metrics = interval_metrics("aqi_slope", slope) | _over("aqi_slope", over)
    text = f"slope {slope:+.1f} points per unit"
    if over is None:
        text += ", over random absent"
    else:
        text += f", over random {over.interval:+.1f} (K={over.n_random})"
    rises = all(a.aqi <= b.aqi for a, b in itertools.pairwise(group))
    text += f", {'monotone' if rises else 'not monotone'} over {len(group)} strengths"
    unit = " (units of the mean state)" if group[0].dose_kind == "relative" else ""
    return Report(metrics, [f"aqi over lambda{unit}: {text}"])


def grids(table: ArmTable[Row]) -> list[list[Row]]:
    """The steered rows of each lambda grid, by rising strength."""
    groups: dict[tuple[object, ...], list[Row]] = {}
    for row in table.where(arm="steered", on_grid=True):
        groups.setdefault((row.target, row.operator, row.placement), []).append(row)
    return [sorted(g, key=lambda r: r.dose or 0.0) for g in groups.values()]


def variant(label: Label, separator: str = "/") -> str:
    """Operator and placement, each followed by `separator`."""
    return f"{label.operator}{separator}{label.placement}{separator}"
