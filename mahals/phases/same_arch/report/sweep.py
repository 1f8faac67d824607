"""Sweep report: what does a sweep over one model's own vector say, beside its headline?"""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import numpy as np

from mahals.maths.stats.controls import GainOverRandom
from mahals.phases.same_arch.report.axioms import effects, left_out
from mahals.phases.same_arch.report.baselines import report_baselines
from mahals.phases.same_arch.report.best_dose import best_lambda, best_line
from mahals.phases.same_arch.report.propagation import split
from mahals.phases.same_arch.report.refusals import report_refusals
from mahals.phases.same_arch.report.steerability import steerability
from mahals.phases.same_arch.rows import Row
from mahals.reporting.entries import headline_line, headline_metrics
from mahals.reporting.evidence import OF, ArmTable, dose_key
from mahals.reporting.gains import ArmGains, over_others, trend, trend_over_random
from mahals.reporting.report import Report, interval_metrics, joined
from mahals.schema import Label

CONTROLS = ("flipped", "permuted_layers", "shuffled_pairs")


def report_headline(
    e: ArmGains[Row], gains: Sequence[ArmGains[Row]], table: ArmTable[Row]
) -> Report:
    """The vector at the headline dose: gains, their two parts, the axiom left out, the effects."""
    row = e.row
    metrics, lines = headline_metrics(e, ""), [headline_line(e)]
    parts = split(row, table)
    if parts is not None:
        metrics |= interval_metrics("same_block", parts.same_block) | interval_metrics(
            "propagated", parts.propagated
        )
        lines.append(f"{_who(row)}: aqi gain {e.gain.estimate:+.2f} is {parts.sentence()}")
    out = left_out(row, table)
    if out is not None:
        for where, part in (("left_out", out.inside), ("other_axioms", out.others)):
            metrics |= interval_metrics(f"{where}_gain", part.gain)
            metrics |= _over(f"{where}_gain", part.over_random)
        lines.append(f"{_who(row)}: {out.sentence()}")
    return joined(
        (
            Report(metrics, lines),
            report_refusals(e, table),
            report_baselines(e, table),
            _controls(row, gains, table),
            _effects(row, table),
        )
    )


def _who(row: Row) -> str:
    return f"{row.target}, {row.operator} {row.placement}, {row.dose_kind}={row.dose:g}"


def _over(what: str, over: GainOverRandom | None) -> dict[str, float]:
    return {} if over is None else interval_metrics(f"{what}_over_random", over.interval)


def _controls(row: Row, gains: Sequence[ArmGains[Row]], table: ArmTable[Row]) -> Report:
    """Each control's own gain over random, and the vector's over the shuffled pairs."""
    metrics: dict[str, float] = {}
    texts = []
    same = [e for e in gains if dose_key(e.row) == dose_key(row)]
    for kind in CONTROLS:
        some = [e for e in same if e.row.arm == kind]
        aqi = [e.over_random.interval.estimate for e in some if e.over_random is not None]
        gap = [e.gap - e.random_gap for e in some if e.random_gap is not None]
        for what, values in (("gain", aqi), ("refusal_gap_gain", gap)):
            if values:
                metrics[f"{kind}/{what}_over_random"] = float(np.mean(values))
        if len(some) == 1:
            over, apart = some[0].over_random, some[0].gap_over_random
            texts.append(f"{kind} aqi {_text(over, aqi)}, gap {_text(apart, gap)}")
            metrics |= _over(f"{kind}/gain", over) | _over(f"{kind}/refusal_gap_gain", apart)
        else:
            texts.append(f"{kind} ({len(some)}) aqi {_range(aqi)}, gap {_range(gap)}")
    shuffled = [e.row for e in same if e.row.arm == "shuffled_pairs"]
    over_them = _over_shuffled(row, shuffled, table)
    lines = [f"{_who(row)}, controls over random: " + "; ".join(texts), *over_them.lines]
    return Report(metrics | over_them.metrics, lines)


def _over_shuffled(row: Row, shuffled: Sequence[Row], table: ArmTable[Row]) -> Report:
    """The vector against those of shuffled pairs; nothing with fewer than two."""
    if len(shuffled) < 2:
        return Report({}, [])
    own, *theirs = table.arms([row, *shuffled])
    (plain, aqi), (plain_gap, gap) = (over_others(own, theirs, of) for of in OF)
    line = (
        f"{_who(row)}: the vector over vectors of shuffled pairs (K={len(shuffled)}): aqi "
        f"{_text(aqi, [plain])}, refusal gap {_text(gap, [plain_gap])}"
    )
    metrics = {"gain_over_shuffled": plain, "refusal_gap_gain_over_shuffled": plain_gap}
    for what, over in (("gain", aqi), ("refusal_gap_gain", gap)):
        metrics |= {} if over is None else interval_metrics(f"{what}_over_shuffled", over.interval)
    return Report(metrics, [line])


def _text(over: GainOverRandom | None, plain: Sequence[float]) -> str:
    """A difference with its interval, or as it is where nothing varies."""
    if over is None:
        return f"{plain[0]:+.2f} (nothing varies: no interval)" if plain else "absent"
    return f"{over.interval:+.2f}"


def _range(values: Sequence[float]) -> str:
    if not values:
        return "absent"
    return f"{np.mean(values):+.2f} (range {min(values):+.2f} to {max(values):+.2f})"


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


def report_grid(
    group: Sequence[Row], gains: Sequence[ArmGains[Row]], table: ArmTable[Row]
) -> Report:
    """The lambda grid of one vector: the trend of aqi, the best lambda, the steerability."""
    metrics: dict[str, float] = {}
    lines = []
    first = group[0]
    who = f"{first.target}, {first.operator} {first.placement}"
    if len(group) > 2:
        slope = _report_trend(group, table)
        metrics |= slope.metrics
        lines += [f"{who} {line}" for line in slope.lines]
    best = best_lambda(group)
    if best is not None:
        lines.append(best_line(best, group, gains))
        if best.row is not None:
            e = next(e for e in gains if e.row is best.row)
            metrics["best_lambda"] = best.row.dose or 0.0
            metrics |= _over("best_lambda_gain", e.over_random)
            metrics |= _over("best_lambda_refusal_gap_gain", e.gap_over_random)
    steered = steerability(group, table)
    for s in steered:
        metrics |= interval_metrics(f"steerability_{s.label}", s.slope)
        metrics |= _over(f"steerability_{s.label}", s.over_random)
        metrics |= interval_metrics(f"anti_steerable_{s.label}", s.anti)
    if steered:
        text = "; ".join(s.sentence() for s in steered)
        lines.append(f"{who} steerability (slope of propensity, nats per token per lambda): {text}")
    return Report(metrics, lines)


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
