"""Baselines: is steering better than the prompt, and does it reach the aligned checkpoint?"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from mahals.maths.stats.intervals import paired_difference
from mahals.phase import Kept
from mahals.reporting.evidence import ArmEvidence, Array, Evidence, load
from mahals.reporting.report import Report, interval_metrics
from mahals.schema import ArmRow

REFERENCES = {"prompt": "the instruction in the prompt", "aligned": "the aligned checkpoint"}


def report_baselines(e: Evidence, rows: Sequence[ArmRow], kept: Kept) -> Report:
    """A steered arm minus the prompt-only arm and minus the aligned model, paired by prompt.

    Metrics `aqi_over_<arm>` (points) and `refusal_gap_over_<arm>` (shares), each with `_low` and
    `_high` where prompts differ; above 0 is better for steering. Nothing for a reference that
    `rows` do not hold for this target.
    """
    row = e.row
    metrics: dict[str, float] = {}
    lines = []
    for kind, words in REFERENCES.items():
        same = [r for r in rows if r.arm == kind and r.target == row.target]
        if not same:
            continue
        own, other = load([row, same[0]], kept)
        said = []
        for what, part in (("aqi", _aqi), ("refusal_gap", _gap)):
            found, text = _difference(f"{what}_over_{kind}", part(own), part(other))
            metrics |= found
            said.append(f"{what.replace('_', ' ')} {text}")
        lines.append(
            f"{row.target}, {row.operator} {row.placement}, {row.dose_kind}={row.dose:g}: steered "
            f"minus {words}: {', '.join(said)}"
        )
    return Report(metrics, lines)


Part = tuple[float, Array, list[str]]
"""An estimate, its influence by prompt, and the prompts' clusters."""


def _aqi(arm: ArmEvidence) -> Part:
    return arm.row.aqi, arm.influence, arm.clusters


def _gap(arm: ArmEvidence) -> Part:
    return arm.gap, arm.gap_influence, arm.gap_clusters


def _difference(name: str, one: Part, two: Part) -> tuple[dict[str, float], str]:
    """The metrics and the words of one minus two; without an interval where no prompt differs."""
    if np.allclose(one[1], two[1], rtol=1e-9, atol=1e-12):
        plain = one[0] - two[0]
        return {name: plain}, f"{plain:+.2f} (nothing varies: no interval)"
    i = paired_difference(one[1], two[1], one[0], two[0], one[2])
    return interval_metrics(name, i), f"{i:+.2f}"
