"""Baselines: is steering better than the prompt, and does it reach the aligned checkpoint?"""

from __future__ import annotations

from mahals.phases.same_arch.rows import Row
from mahals.reporting.evidence import OF, ArmTable
from mahals.reporting.gains import ArmGains
from mahals.reporting.report import Report, interval_metrics

REFERENCES = {"prompt": "the instruction in the prompt", "aligned": "the aligned checkpoint"}


def report_baselines(e: ArmGains[Row], table: ArmTable[Row]) -> Report:
    """A steered arm minus the prompt-only arm and minus the aligned model, paired by prompt.

    Metrics `aqi_over_<arm>` (points) and `refusal_gap_over_<arm>` (shares), each with `_low` and
    `_high`; above 0 is better for steering. Nothing for a reference that the table does not hold
    for this target.
    """
    row = e.row
    metrics: dict[str, float] = {}
    lines = []
    for kind, words in REFERENCES.items():
        reference = table.one(arm=kind, target=row.target)
        if reference is None:
            continue
        own, other = table.arms([row, reference])
        texts = []
        for of, what in zip(OF, ("aqi", "refusal_gap"), strict=True):
            difference = own.part(of).minus(other.part(of))
            metrics |= interval_metrics(f"{what}_over_{kind}", difference)
            texts.append(f"{what.replace('_', ' ')} {difference:+.2f}")
        lines.append(
            f"{row.target}, {row.operator} {row.placement}, {row.dose_kind}={row.dose:g}: steered "
            f"minus {words}: {', '.join(texts)}"
        )
    return Report(metrics, lines)
