"""Report of esr_boost: which rates does each level of steering have, and where is the peak?"""

from collections.abc import Sequence
from dataclasses import replace

from mahals.phase import Kept, Summary
from mahals.phases.esr_boost.rows import Row
from mahals.reporting.evidence import Evidence
from mahals.reporting.report import Report, interval_metrics, joined
from mahals.reporting.resistance import Group, groups, rate_text, trial_summary

PEAKS = ("multi_attempt_rate", "esr_rate")


def summarize(rows: Sequence[Row], kept: Kept) -> Summary:
    """The rates of each level of each subject; where restarts and returns are most frequent."""
    by = groups(rows, ("model", "subject", "source"))
    peaks = joined(_peak(own, name) for own in by for name in PEAKS)
    columns = ("subject", "source", "level")
    told = trial_summary(Evidence(rows, kept), "esr_boost", columns, peaks.lines)
    return replace(told, metrics={**told.metrics, **peaks.metrics})


def _peak(own: Group, name: str) -> Report:
    """The level of the highest rate, and where it lies without each one of the directions."""
    best = peak(own.trials, name)
    if best is None:
        return Report({}, [f"{own.name}: {name} is 0 or unknown at every level: it has no peak"])
    named = dict.fromkeys(t.direction for t in own.trials if t.line is not None)
    without = [peak([t for t in own.trials if t.direction != d], name) for d in named]
    ends = [float(g.name) for g in (best, *without) if g is not None]
    rate = getattr(best.rates, name)
    line = (
        f"{own.name}: {name} is highest at {ends[0]:+.2f} sd, {rate_text(name, rate)}, the highest "
        f"of several levels; without one of {len(named)} directions the peak lies from "
        f"{min(ends):+.2f} to {max(ends):+.2f} sd"
    )
    metrics = {"peak_level": ends[0], **interval_metrics("peak", rate)}
    return Report(metrics, [line]).under("/".join((*own.key, name, "")))


def peak(rows: Sequence[Row], name: str) -> Group | None:
    """The trials of the level with the highest rate, the lowest of equal ones; None of all 0."""
    rates = [(getattr(g.rates, name), g) for g in groups(rows, ("level",))]
    known = [(rate.estimate, g) for rate, g in rates if rate is not None and rate.estimate > 0]
    return max(known, key=lambda each: each[0])[1] if known else None
