"""Which checkpoints are there, and what does loading one give?

The registry's types are here at once; what needs torch is imported when it is first asked for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mahals.models.registry import HubRef, ModelEntry

if TYPE_CHECKING:
    from mahals.models.blocks import decoder_blocks, vocabulary_tail
    from mahals.models.checkpoint import Loaded, load_checkpoint, random_weights
    from mahals.models.hub import available_locally, cached_folder, hub_folder

__all__ = [
    "HubRef",
    "Loaded",
    "ModelEntry",
    "available_locally",
    "cached_folder",
    "decoder_blocks",
    "hub_folder",
    "load_checkpoint",
    "random_weights",
    "vocabulary_tail",
]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    if name in ("available_locally", "cached_folder", "hub_folder"):
        from mahals.models import hub

        return getattr(hub, name)
    from mahals.models import blocks, checkpoint

    return getattr(checkpoint if hasattr(checkpoint, name) else blocks, name)
