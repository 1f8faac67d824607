"""Report of organisms: what did each small model learn?"""

from __future__ import annotations

from collections.abc import Sequence

from mahals.phase import Kept, Summary
from mahals.phases.organisms.rows import Row
from mahals.reporting.evidence import Evidence
from mahals.schema import CHECKPOINTS


def summarize(rows: Sequence[Row], kept: Kept) -> Summary:
    """Per organism: the gate, and how often each checkpoint refuses (a positive control)."""
    table = Evidence(rows, kept)
    models = table.values_of("model")
    metrics: dict[str, float] = {}
    for row in rows:
        prefix = f"{row.model}/{row.checkpoint}_" if len(models) > 1 else f"{row.checkpoint}_"
        metrics |= {
            f"{prefix}refusal_unsafe": row.refusal_unsafe,
            f"{prefix}refusal_safe": row.refusal_safe,
            f"{prefix}perplexity": row.perplexity,
            f"{prefix}xor_accuracy": row.xor_accuracy,
            f"{prefix}careful_accuracy": row.careful_accuracy,
        }
    return Summary(metrics, tuple(_refusals(table, m) for m in models), (), ())


def _refusals(table: Evidence[Row], model: str) -> str:
    """How often each checkpoint of a model refuses, in one sentence."""
    stages = [table.one(model=model, checkpoint=c) for c in CHECKPOINTS]
    shares = (
        f"{r.checkpoint} {r.refusal_unsafe:.2f} / {r.refusal_safe:.2f}"
        for r in stages
        if r is not None
    )
    return (
        f"{model}: refuses unsafe / safe prompts: {', '.join(shares)} "
        "(trained in: a declared positive control)"
    )
