"""Report of esr_threshold: which directions are of use, at which boost, and why are others not?"""

import re
from collections.abc import Sequence

import numpy as np

from mahals.phase import Kept, Summary
from mahals.phases.esr_threshold.rows import Row
from mahals.reporting.evidence import Evidence
from mahals.reporting.published_resistance import beside_published
from mahals.reporting.report import Report, by_model, joined


def summarize(rows: Sequence[Row], kept: Kept) -> Summary:
    """Of each source how many directions are usable, their thresholds, and why others are not.

    Metrics `<source>/usable` (a share), of usable ones `/boost`, `/boost_sd`, of all `/reached`.
    """
    report = by_model(Evidence(rows, kept), _sources)
    return beside_published(Summary(report.metrics, tuple(report.lines), (), ()), "esr_threshold")


def _sources(table: Evidence[Row], model: str) -> Report:
    return joined(
        _source(f"{model}, {source}", table.where(model=model, source=source)).under(f"{source}/")
        for source in table.values_of("source")
    )


def _source(name: str, rows: Sequence[Row]) -> Report:
    usable = [r.boost for r in rows if r.usable]
    reached = [r.reached for r in rows if r.reached is not None]
    metrics = {"usable": len(usable) / len(rows)}
    parts = [f"{len(usable)} of {len(rows)} usable"]
    if usable:
        low, high, mean = min(usable), max(usable), float(np.mean(usable))
        metrics |= {"boost": mean}
        metrics |= {"boost_sd": float(np.std(usable, ddof=1))} if len(usable) > 1 else {}
        parts[0] += f", at boosts of {low:.2f} to {high:.2f}, mean {mean:.2f}"
    if reached:
        metrics |= {"reached": float(np.mean(reached))}
        parts.append(
            f"over all of them first attempts on fresh prompts score {np.mean(reached):.0f}, "
            f"{min(reached):.0f} to {max(reached):.0f} (sought: {rows[0].target:.0f})"
        )
    faults: dict[str, list[str]] = {}
    for r in rows:
        if r.why is not None:
            faults.setdefault(re.sub(r"[\d.]+", "", r.why), []).append(f"{r.direction}: {r.why}")
    parts += [f"{len(some)} not, as {some[0]}" for some in faults.values()]
    return Report(metrics, [f"{name} directions: {'; '.join(parts)}"])
