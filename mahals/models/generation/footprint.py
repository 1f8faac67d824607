"""Footprint: how many bytes do a process's models and batches take at their most?"""

from __future__ import annotations

from mahals.models.activations.budget import TOKENS_IN_FLIGHT, TOKENS_ON_CPU, TOKENS_PER_BATCH
from mahals.models.checkpoints.device import Device
from mahals.models.checkpoints.size import Size
from mahals.models.generation.price import LOGITS_PER_BATCH

LOGITS = 5  # arrays of a batch's logits at once: log p and p unsteered; an arm's logits and log p
INNER, STATES = 3, 8  # arrays of a running block: of its feed-forward layer, and of states


def footprint(size: Size, device: Device, checkpoints: int) -> int:
    """Bytes of so many checkpoints and of the largest batch that is read, priced or written."""
    number = 2 if device.dtype == "bfloat16" else 4
    tokens = TOKENS_ON_CPU if device.is_cpu else TOKENS_PER_BATCH
    block = number * (STATES * size.width + INNER * size.inner)
    priced = min(tokens, LOGITS_PER_BATCH // size.vocabulary)
    pricing = priced * (4 * LOGITS * size.vocabulary + block)
    writing = TOKENS_IN_FLIGHT * number * size.cached + tokens * block
    return checkpoints * size.held(device) + max(tokens * block, pricing, writing)
