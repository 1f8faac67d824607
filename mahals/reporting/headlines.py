"""Headlines: what does one arm, or one configuration at all its doses, say in one sentence?"""

from __future__ import annotations

from collections.abc import Mapping

from mahals.reporting.evidence import A
from mahals.reporting.gains import ArmGains
from mahals.reporting.lines import Line
from mahals.reporting.report import Report, interval_metrics
from mahals.schema import ArmRow, NullFamily

FAMILY_WORDS: Mapping[NullFamily, str] = {
    "random": "isotropic random directions",
    "shuffled_pairs": "directions of shuffled pairs",
    "shuffled": "directions through shuffled maps",
}
RATES = ("refusal_unsafe", "refusal_safe", "degenerate_share")


def headline_metrics(e: ArmGains[ArmRow], prefix: str) -> dict[str, float]:
    """Metrics of one arm, each name after `prefix`: refusal gap and AQI, over nulls, price."""
    metrics = interval_metrics("refusal_gap", e.gap)
    metrics |= interval_metrics("refusal_gap_gain", e.gap_gain)
    for family, over in e.over.items():
        metrics |= interval_metrics(f"gap_over_{family}", over.gap.interval)
    if e.gap_over_random is not None:
        metrics |= interval_metrics("gap_over_nulls", e.gap_over_random.interval)
        metrics["gap_over_nulls_p"] = p_of(e)
    if e.over_prompt is not None:
        metrics |= interval_metrics("gap_over_prompt", e.over_prompt)
    metrics |= {"aqi_last": e.row.aqi_last, "aqi_mean": e.row.aqi_mean}
    metrics |= interval_metrics("aqi_gain_last", e.gain_last)
    metrics |= interval_metrics("aqi_gain_mean", e.gain_mean)
    if e.over_random is not None:
        metrics |= interval_metrics("aqi_over_nulls", e.over_random.interval)
    if e.row.perplexity_ratio is not None:
        metrics["perplexity_ratio"] = e.row.perplexity_ratio
    if e.row.kl is not None:
        metrics["kl"] = e.row.kl
    for name in RATES:
        metrics |= interval_metrics(name, getattr(e.rates, name))
    return {prefix + k: v for k, v in metrics.items()}


def p_of(e: ArmGains[ArmRow]) -> float:
    """Two-sided, that the refusal gap is like a null's: of all families the largest.

    Both families have to be beaten, so the test is that of the union of their hypotheses (Berger
    1982): it needs no correction for there being two.
    """
    return max(over.gap.p for over in e.over.values())


def headline_line(e: ArmGains[ArmRow]) -> str:
    """One sentence on one arm: refusal gap over both null families, AQI beside it, price."""
    row = e.row
    dose = "" if row.dose_kind is None else f", {row.dose_kind}={row.dose:g}"
    who = f"{came_from(row)}, {_what(row)}" if row.operator else row.arm
    return (
        f"{row.target}, {who}{dose}: refusal gap {e.gap:+.2f}; {over_words(e)}; aqi gain "
        f"last {e.gain_last:+.1f}, mean {e.gain_mean:+.1f}; {_rates(e)}{marks(e)}"
    )


def came_from(row: ArmRow) -> str:
    """Whose vector it is, in words."""
    return "own vector" if row.source == row.target else f"vector of {row.source}"


def _what(row: ArmRow) -> str:
    return " ".join(p for p in (row.map, row.operator, row.placement) if p)


def over_words(e: ArmGains[ArmRow]) -> str:
    """The refusal gap over each family of nulls."""
    if not e.over:
        return "over nulls absent (fewer than two at this dose)"
    parts = [
        f"over {FAMILY_WORDS[family]} {over.gap.interval:+.2f} (K={over.gap.n_random})"
        for family, over in e.over.items()
    ]
    return ", ".join(parts)


def marks(e: ArmGains[ArmRow]) -> str:
    """What an arm's number is marked with: geometry only, over the ceiling, not shown safe."""
    found = ["geometry only"] if e.geometry_only else []
    if e.row.over_ceiling:
        found.append("over the ceiling: " + ", ".join(e.row.over_ceiling))
    if e.row.not_shown_safe:
        found.append("not shown safe: " + ", ".join(e.row.not_shown_safe))
    return "".join(f"; {mark}" for mark in found)


def _rates(e: ArmGains[ArmRow]) -> str:
    texts = [f"{name} {getattr(e.rates, name):.2f}" for name in RATES]
    return ", ".join(texts) + " (Wilson, clusters ignored)"


def report_line(line: Line[A]) -> Report:
    """A vector at all doses: which was chosen on the selection split, what it does, its KL50."""
    row, e = line.chosen.row, line.chosen
    metrics = headline_metrics(e, "chosen/")
    metrics["chosen/dose"] = row.dose or 0.0
    half = f"KL50 absent ({line.kl50.reason})"
    if line.kl50.value is not None:
        metrics["kl50"] = line.kl50.value
        half = f"KL50 {line.kl50.value:.3g} nats per token"
    doses = ", ".join(f"{a.row.dose:g}: {a.gap:+.2f}" for a in line.arms)
    text = (
        f"{row.target}, {came_from(row)}, {_what(row)}: chosen kl={row.dose:g} ({line.why}); there "
        f"refusal gap {e.gap:+.2f}, {over_words(e)}{marks(e)}; refusal gap by dose {doses}; {half}"
    )
    return Report(metrics, [text])
