"""Report of organisms: what did each small model learn?"""

from __future__ import annotations

from collections.abc import Sequence

from mahals.phase import Kept, Summary
from mahals.phases.organisms.rows import Row, models_of
from mahals.schema import CHECKPOINTS


def summarize(rows: Sequence[Row], kept: Kept) -> Summary:
    """Per organism: the gate, and how often each checkpoint refuses (a positive control)."""
    several = len({r.model for r in rows}) > 1
    metrics: dict[str, float] = {}
    for row in rows:
        prefix = f"{row.model}/{row.checkpoint}_" if several else f"{row.checkpoint}_"
        metrics |= {
            f"{prefix}refusal_unsafe": row.refusal_unsafe,
            f"{prefix}refusal_safe": row.refusal_safe,
            f"{prefix}perplexity": row.perplexity,
            f"{prefix}xor_accuracy": row.xor_accuracy,
            f"{prefix}careful_accuracy": row.careful_accuracy,
        }
    by_model = {m: {r.checkpoint: r for r in rows if r.model == m} for m in models_of(rows)}
    lines = tuple(
        f"{m}: refuses unsafe / safe prompts: "
        + ", ".join(
            f"{c} {r[c].refusal_unsafe:.2f} / {r[c].refusal_safe:.2f}"
            for c in CHECKPOINTS
            if c in r
        )
        + " (trained in: a declared positive control)"
        for m, r in by_model.items()
    )
    return Summary(metrics, lines, (), ())
