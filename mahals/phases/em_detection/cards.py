"""Which adapters and directions are registered, and which of them can misalign a model?"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from mahals.phase import VectorCard

NARROW = ("bad", "bad_rank1", "other")  # adapters taught bad advice


def adapter_cards(rows: Sequence[Any]) -> tuple[VectorCard, ...]:
    """A card for each adapter of em_finetune's rows, at its last step."""
    last: dict[str, Any] = {}
    for row in rows:
        if row.adapter_kept is not None and row.loss is not None:
            known = last.get(row.adapter_kept)
            if known is None or row.step >= known.step:
                last[row.adapter_kept] = row
    return tuple(
        VectorCard(
            name=f"{row.model}.advice.{row.adapter}",
            reference=reference,
            target=row.model,
            source=row.model,
            method=f"lora on advice, {row.adapter}",
            selection_score=None,
            metadata={
                "dual_use": row.adapter in NARROW,
                "domain": row.domain or "texts of one's own",
                "steps": row.step,
                "loss": row.loss,
            },
        )
        for reference, row in last.items()
    )


def direction_cards(rows: Sequence[Any]) -> tuple[VectorCard, ...]:
    """A card for each direction of em_detection's rows: all can misalign."""
    found = {row.direction: row for row in rows}
    return tuple(
        VectorCard(
            name=f"{row.model}.misalignment.{row.position}.{row.method}",
            reference=reference,
            target=row.model,
            source=row.model,
            method=f"misalignment {row.method}, {row.position}",
            selection_score=None,
            metadata={
                "dual_use": True,
                "purpose": "added it misaligns; taken out it is an arm of em_ablation",
                "position": row.position,
            },
        )
        for reference, row in found.items()
    )
