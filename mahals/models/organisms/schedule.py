"""Training schedule: how long and on what is an organism trained?

Plain numbers, one record.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class BaseSchedule:
    """Pretraining: constant rate until the gate is passed, then a linear decay to 0."""

    rows: int  # of `tokens` tokens in a batch
    tokens: int
    rate: float
    warmup: int  # steps
    threshold: float  # of the gate: both accuracies must be over it
    check_from: int  # first step at which the gate is looked at
    check_every: int
    understood: float  # both accuracies over it: time for the even mix
    decay: int  # steps from the gate to rate 0
    cap: int  # steps after which an organism that has not passed has failed


@dataclass(frozen=True)
class TuneSchedule:
    """Supervised fine-tuning: linear decay from the first step."""

    rows: int
    tokens: int
    rate: float
    steps: int


@dataclass(frozen=True)
class PreferenceSchedule:
    """Direct preference optimisation, and the sham on the same pairs."""

    pairs: int  # a step
    neutral: int  # harmless documents a step, to keep the rest of the model where it was
    rate: float
    steps: int
    beta: float
    chosen_weight: float  # of the mean token loss of the chosen answers
    neutral_weight: float  # of the mean token loss of the harmless documents


@dataclass(frozen=True)
class TrainingSchedule:
    """Everything about the training that is a number."""

    base: BaseSchedule
    sft: TuneSchedule
    dpo: PreferenceSchedule
    gate_per_cell: int  # gate triples for each axiom and label
    report_per_cell: int  # answers read for a report, for each axiom and label
