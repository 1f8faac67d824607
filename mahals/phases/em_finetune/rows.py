"""Rows of em_finetune: what is known of one adapter at one step?"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Row:
    """`rates`: answers of one checkpoint to one kind of question; `turn`; `probe`; `judge`."""

    what: str
    model: str
    weights: str
    adapter: str
    domain: str | None = None  # None: texts of one's own
    step: int = 0  # 0: the model as it was
    codes: str = ""  # kept: outcomes per question, a row per checkpoint
    codes_row: int | None = None
    answers: str = ""  # kept: the generations table of all checkpoints
    questions_kept: str | None = None  # kept: the questions, as asked
    adapter_kept: str | None = None  # kept: the last checkpoint, in peft's layout
    loss: float | None = None  # nats per learned token at the step
    questions: str | None = None  # in_domain, near, far
    asked: int | None = None
    misaligned: int | None = None
    good: int | None = None
    incoherent: int | None = None
    unscored: int | None = None
    refused: int | None = None
    leaked: int | None = (
        None  # of the misaligned: the trained domain's own steps in another's answer
    )
    k: int | None = None  # of a turn
    turn: int | None = None  # the step where the weights turn most
    turns_kept: str | None = None
    value: float | None = None  # probe: AUROC; judge: agreement; turn: the lowest cosine
    low: float | None = None
    high: float | None = None
    control: float | None = None  # the probe with random A
    reason: str | None = None


ORIGINAL = "original"


ADAPTERS = ("bad", "good", "bad_rank1", "other")
