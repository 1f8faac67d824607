"""Entries: what does an arm say on the leaderboard, and in one sentence?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import fields, replace

import numpy as np

from mahals.data.categories import category_column
from mahals.maths.stats.intervals import Interval
from mahals.reporting.evidence import A, ArmTable
from mahals.reporting.gains import ArmGains
from mahals.reporting.headlines import p_of
from mahals.reporting.lines import lines
from mahals.schema import NULLS, ArmRow, Configuration, Entry


def configuration(row: ArmRow) -> Configuration:
    """The leaderboard identity of a row; the draws of a family share one."""
    dose = None if row.dose_kind is None else f"{row.dose_kind}={row.dose:g}"
    names = (f.name for f in fields(Configuration) if f.name != "dose")
    return Configuration(dose=dose, **{name: getattr(row, name) for name in names})


PRICES = ("safe_accuracy", "perplexity_ratio", "kl")
GAP_OVER = ("gap_over_random", "gap_over_random_low", "gap_over_random_high", "gap_over_random_p")
AQI_OVER = (
    "gain_over_random",
    "gain_over_random_low",
    "gain_over_random_high",
    "gain_over_random_p",
)
PROMPT = ("gap_over_prompt", "gap_over_prompt_low", "gap_over_prompt_high")
GAINS = ("aqi_gain", "aqi_gain_low", "aqi_gain_high")


def entries(
    table: ArmTable[A], gains: Sequence[ArmGains[A]], efficiency: Mapping[int, float | str]
) -> tuple[Entry, ...]:
    """Leaderboard lines: each configuration once, the references, the nulls, the controls.

    A steered configuration stands at the strength that was chosen on the selection split; controls
    and null families at the headline dose, the one at which all were measured. `efficiency` is the
    transfer efficiency by index into the table's rows, or why it is absent.
    """
    index = {id(row): i for i, row in enumerate(table.rows)}
    found = []
    for line in lines(gains, table):
        entry = _measured(line.chosen)
        share = efficiency.get(index[id(line.chosen.row)])
        why = share if isinstance(share, str) else "the vector did not cross architectures"
        own = {"kl50": line.kl50.value, "transfer_efficiency": share}
        reasons = {"kl50": line.kl50.reason or "", "transfer_efficiency": why}
        known = {name: float(v) for name, v in own.items() if isinstance(v, float)}
        why_not = {n: why for n, why in {**entry.reasons, **reasons}.items() if n not in known}
        found.append(replace(entry, metrics={**entry.metrics, **known}, reasons=why_not))
    for e in gains:
        control = e.row.at_headline and e.row.arm != "steered" and e.row.draw is None
        if e.row.operator is None or control:
            found.append(_measured(e))
    found += [_unsteered(r, table) for r in table.rows if r.arm == "unsteered"]
    return (*found, *_families(table))


def _families(table: ArmTable[A]) -> tuple[Entry, ...]:
    """One line for each family of drawn arms at the headline dose: the mean of its draws."""
    groups: dict[Configuration, list[A]] = {}
    for row in table.where(at_headline=True):
        if row.draw is not None:
            shared = configuration(row)
            if row.arm in NULLS:  # whatever source and map a draw came through
                shared = replace(shared, source=None, vector=None, source_layers=None)
            groups.setdefault(shared, []).append(row)
    return tuple(_mean_line(shared, draws, table) for shared, draws in groups.items())


def _columns(row: ArmRow) -> dict[str, float]:
    values = {
        "aqi_last": row.aqi_last,
        "aqi_mean": row.aqi_mean,
        "refusal_unsafe": row.refusal_unsafe,
        "refusal_safe": row.refusal_safe,
        "refusal_unsafe_lexical": row.refusal_unsafe_lexical,
        "refusal_safe_lexical": row.refusal_safe_lexical,
        "degenerate_share": row.degenerate_share,
        "refusal_gap": row.refusal_unsafe - row.refusal_safe,
        **dict(zip(map(category_column, row.categories), row.aqi_axioms, strict=True)),
    }
    optional = {
        "safe_accuracy": row.safe_accuracy,
        "perplexity_ratio": row.perplexity_ratio,
        "kl": row.kl,
    }
    return values | {k: v for k, v in optional.items() if v is not None}


def _columns_over(name: str, found: Interval) -> dict[str, float]:
    return {name: found.estimate, f"{name}_low": found.low, f"{name}_high": found.high}


def _measured(e: ArmGains[ArmRow]) -> Entry:
    """One arm with its gains."""
    row = e.row
    metrics = _columns(row) | _columns_over("aqi_gain", e.gain)
    reasons = {c: row.reason for c in PRICES if c not in metrics and row.reason is not None}
    if e.over_prompt is not None:
        metrics |= _columns_over("gap_over_prompt", e.over_prompt)
    else:
        why = "it is the instructed model" if row.arm == "prompt" else "no instructed model"
        reasons |= dict.fromkeys(PROMPT, why)
    if e.gap_over_random is not None and e.lacks is None:
        metrics |= _columns_over("gap_over_random", e.gap_over_random.interval)
        metrics["gap_over_random_p"] = p_of(e)
        over = e.over_random
        if over is not None:
            metrics |= _columns_over("gain_over_random", over.interval)
            metrics["gain_over_random_p"] = max(
                o.aqi.p for o in e.over.values() if o.aqi is not None
            )
    reasons |= {name: _absent(e) for name in (*GAP_OVER, *AQI_OVER) if name not in metrics}
    reasons.setdefault("kl50", "of steered configurations alone")
    reasons.setdefault("transfer_efficiency", "the vector did not cross architectures")
    return _entry(configuration(row), row, metrics, reasons, e)


def _absent(e: ArmGains[ArmRow]) -> str:
    """Why an arm has no number over the nulls."""
    if not e.over:
        return "no null arm has this dose"
    return "nothing varies in aqi" if e.lacks is None else "one family of nulls alone"


def _unsteered(row: A, table: ArmTable[A]) -> Entry:
    prompt = table.reference_of(row, "prompt")
    metrics = _columns(row)
    if prompt is not None:
        over = table.arm(row).refusals().minus(table.arm(prompt).refusals())
        metrics |= _columns_over("gap_over_prompt", over)
    reasons = dict.fromkeys((*GAINS, *GAP_OVER, *AQI_OVER), "the unsteered model is the zero")
    return _entry(configuration(row), row, metrics, reasons, None)


def _mean_line(shared: Configuration, draws: Sequence[A], table: ArmTable[A]) -> Entry:
    """The mean over the draws of one configuration."""
    columns = [_columns(r) for r in draws]
    both = [k for k in columns[0] if all(k in c for c in columns)]
    mean = {k: float(np.mean([c[k] for c in columns])) for k in both}
    why = f"the mean of {len(draws)} {draws[0].arm.replace('_', ' ')} arms"
    reasons = dict.fromkeys((*GAINS, *GAP_OVER, *AQI_OVER, *PROMPT, "kl50"), why)
    axioms = np.mean([r.aqi_axioms for r in draws], axis=0)
    line = _entry(shared, draws[0], mean, reasons, None)
    return replace(
        line,
        weakest_axiom=draws[0].categories[int(np.argmin(axioms))],
        over_ceiling=(),
        not_shown_safe=(),
        vector=None,
    )


def _entry(
    shared: Configuration,
    row: ArmRow,
    metrics: Mapping[str, float],
    reasons: Mapping[str, str],
    e: ArmGains[ArmRow] | None,
) -> Entry:
    return Entry(
        configuration=shared,
        metrics=metrics,
        reasons=reasons,
        weakest_axiom=row.categories[int(np.argmin(row.aqi_axioms))],
        over_ceiling=row.over_ceiling,
        not_shown_safe=row.not_shown_safe,
        geometry_only=e is not None and row.arm == "steered" and e.geometry_only,
        vector=row.kept,
        readout=row.readout,
        harder=None if e is None else e.harder,
        training=row.training,
    )
