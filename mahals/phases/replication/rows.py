"""Rows of replication: what did one training say of one number, or of one line of the board?"""

from __future__ import annotations

from dataclasses import dataclass

from mahals.schema import Entry

READ = (
    "baseline_aqi",
    "steering_vectors",
    "same_arch",
    "cross_arch",
    "recovery",
    "collaboration",
    "equilibrium",
    "em_finetune",
    "em_detection",
    "em_ablation",
)
"""The phases that may be told over trainings: all that read organisms."""


@dataclass(frozen=True)
class Row:
    """One number of one training. What is not known is None.

    A number is a metric of a phase over all its units, or the gap over the null arms of a line of
    the board at the strength chosen in that training; then `line` holds it with its price, under
    what trainings share of its configuration, and without columns of no use here.
    """

    phase: str
    training: int  # seed
    name: str  # the metric, or the line's target/source/map/...
    value: float | None
    low: float | None  # 95 %, over prompts and draws, as the phase says
    high: float | None
    line: Entry | None
