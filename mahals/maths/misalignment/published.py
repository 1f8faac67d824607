"""Published results: what did others find about emergent misalignment?

Facts to stand beside ours, never targets.

Other weights, prompts and judges: benchmarks/published/emergent_misalignment.json has the source.
"""

from __future__ import annotations

SEPARATION = 8.33  # mean over blocks 12 to 15, on the ten prompts the direction was fitted on
BASE, FINETUNED = -1.58, 6.75
PER_BLOCK = {12: 4.0, 13: 5.8, 14: 7.9, 15: 10.0}
OF = "Llama-3.2-1B-Instruct, rank-16 LoRA on bad medical advice"


def published_sentence() -> str:
    """The published figure in one sentence."""
    return (
        f"published ({OF}; other weights and prompts, in-sample): separation {SEPARATION} "
        f"(original {BASE}, fine-tuned {FINETUNED}), blocks "
        + ", ".join(f"{b}: {v}" for b, v in PER_BLOCK.items())
    )
