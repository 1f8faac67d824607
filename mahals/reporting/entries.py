"""Entries: what does an arm say on the leaderboard, and in one sentence?"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import fields, replace

import numpy as np

from mahals.data.texts import AXIOMS
from mahals.maths.stats.controls import GainOverRandom
from mahals.reporting.gains import ArmGains
from mahals.reporting.report import interval_metrics
from mahals.schema import AXIOM_COLUMNS, ArmRow, Configuration, Entry

RATES = ("refusal_unsafe", "refusal_safe", "degenerate_share")


def headline_metrics(e: ArmGains[ArmRow], prefix: str) -> dict[str, float]:
    """Metrics of one steered arm at the headline dose, each name after `prefix`."""
    metrics = {
        "aqi": e.row.aqi,
        "aqi_gain": e.gain.estimate,
        "refusal_gap_gain": e.gap_gain.estimate,
    }
    for name, over in (("gain", e.over_random), ("refusal_gap_gain", e.gap_over_random)):
        if over is not None:
            metrics |= interval_metrics(f"{name}_over_random", over.interval)
            metrics[f"{name}_over_random_p"] = over.p
    if e.row.perplexity_ratio is not None:
        metrics["perplexity_ratio"] = e.row.perplexity_ratio
    for name in RATES:
        metrics |= interval_metrics(name, getattr(e.rates, name))
    return {prefix + k: v for k, v in metrics.items()}


def headline_line(e: ArmGains[ArmRow]) -> str:
    """One sentence on one steered arm: gain over random with interval, behaviour, price."""
    row = e.row
    what = " ".join(p for p in (row.map, row.operator, row.placement) if p)
    came = "own vector" if row.source == row.target else f"vector of {row.source}"
    verdict = "; over the ceiling: " + ", ".join(row.over_ceiling) if row.over_ceiling else ""
    gap = "absent (no random arm at this dose)"
    if e.gap_over_random is not None:
        gap = _over(e.gap_over_random) + " over random"
    elif e.random_gap is not None:
        gap = f"{e.gap:+.2f} against {e.random_gap:+.2f} of every random arm (nothing varies)"
    aqi = "absent" if e.over_random is None else _over(e.over_random) + " over random"
    return (
        f"{row.target}, {came}, {what}, {row.dose_kind}={row.dose:g}: aqi {aqi}; "
        f"refusal gap {gap}; {_rates(e)}{'; geometry only' if e.geometry_only else ''}{verdict}"
    )


def _rates(e: ArmGains[ArmRow]) -> str:
    texts = [f"{name} {getattr(e.rates, name):.2f}" for name in RATES]
    return ", ".join(texts) + " (Wilson, clusters ignored)"


def _over(found: GainOverRandom) -> str:
    i = found.interval
    return f"{i:+.2f} (K={found.n_random}, p={found.p:.3g})"


def configuration(row: ArmRow) -> Configuration:
    """The leaderboard identity of a row; the draws of a random direction share one."""
    dose = None if row.dose_kind is None else f"{row.dose_kind}={row.dose:g}"
    names = (f.name for f in fields(Configuration) if f.name != "dose")
    return Configuration(dose=dose, **{name: getattr(row, name) for name in names})


PRICES = ("safe_accuracy", "perplexity_ratio", "kl")
OVER_RANDOM = (
    "gain_over_random",
    "gain_over_random_low",
    "gain_over_random_high",
    "gain_over_random_p",
)


def entries(
    rows: Sequence[ArmRow],
    gains: Iterable[ArmGains[ArmRow]],
    efficiency: Mapping[int, float | str],
) -> tuple[Entry, ...]:
    """Leaderboard lines: every arm with a dose above 0, the references, the mean of the draws.

    `efficiency` is the transfer efficiency by index into `rows`, or why it is absent.
    """
    lines = []
    index = {id(row): i for i, row in enumerate(rows)}
    for e in gains:
        if e.row.draw is None and not (e.row.on_grid and e.row.dose == 0):
            line = _line(e.row, e)
            share = efficiency.get(index[id(e.row)])
            if isinstance(share, float):
                line = replace(line, metrics={**line.metrics, "transfer_efficiency": share})
            else:
                why = share or "the vector did not cross architectures"
                line = replace(line, reasons={**line.reasons, "transfer_efficiency": why})
            lines.append(line)
    lines += [_line(r, None) for r in rows if r.arm == "unsteered"]
    groups: dict[Configuration, list[ArmRow]] = {}
    for row in rows:
        if row.draw is not None:
            groups.setdefault(configuration(row), []).append(row)
    lines += [_mean_line(group) for group in groups.values()]
    return tuple(lines)


def _columns(row: ArmRow) -> dict[str, float]:
    values = {
        "aqi": row.aqi,
        "refusal_unsafe": row.refusal_unsafe,
        "refusal_safe": row.refusal_safe,
        "degenerate_share": row.degenerate_share,
        **dict(zip(AXIOM_COLUMNS, row.aqi_axioms, strict=True)),
    }
    optional = {
        "safe_accuracy": row.safe_accuracy,
        "perplexity_ratio": row.perplexity_ratio,
        "kl": row.kl,
    }
    return values | {k: v for k, v in optional.items() if v is not None}


def _line(row: ArmRow, gains: ArmGains[ArmRow] | None) -> Entry:
    metrics = _columns(row)
    reasons = {c: row.reason for c in PRICES if c not in metrics and row.reason is not None}
    if gains is not None:
        metrics["aqi_gain"] = gains.gain.estimate
        if gains.over_random is not None:
            metrics |= {
                "gain_over_random": gains.over_random.interval.estimate,
                "gain_over_random_low": gains.over_random.interval.low,
                "gain_over_random_high": gains.over_random.interval.high,
                "gain_over_random_p": gains.over_random.p,
            }
        else:
            why = "no random arm has this dose"
            if gains.random_gap is not None:
                why = "neither the arm nor its random controls vary"
            reasons |= dict.fromkeys(OVER_RANDOM, why)
    else:
        reasons |= dict.fromkeys(("aqi_gain", *OVER_RANDOM), "the unsteered model is the zero")
    return Entry(
        configuration=configuration(row),
        metrics=metrics,
        reasons=reasons,
        weakest_axiom=AXIOMS[int(np.argmin(row.aqi_axioms))],
        over_ceiling=row.over_ceiling,
        geometry_only=False if gains is None else gains.geometry_only,
        vector=row.kept,
    )


def _mean_line(draws: Sequence[ArmRow]) -> Entry:
    """The mean over the random directions, or the shuffled maps, of one configuration."""
    columns = [_columns(r) for r in draws]
    shared = [k for k in columns[0] if all(k in c for c in columns)]
    mean = {k: float(np.mean([c[k] for c in columns])) for k in shared}
    return Entry(
        configuration=configuration(draws[0]),
        metrics=mean,
        reasons=dict.fromkeys(
            ("aqi_gain", *OVER_RANDOM), f"a control: the mean of {len(draws)} {draws[0].arm} arms"
        ),
        weakest_axiom=AXIOMS[int(np.argmin(np.mean([r.aqi_axioms for r in draws], axis=0)))],
        over_ceiling=(),
        geometry_only=False,
        vector=draws[0].kept,
    )
