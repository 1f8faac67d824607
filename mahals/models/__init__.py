"""Which checkpoints are there, and what does loading one give?

The registry's types and the hub's cache are read without torch, which comes in with the first
name that needs it: a table of models is there at once.
"""

from typing import TYPE_CHECKING, Any

from mahals.models.hub import available_locally, cached_folder, hub_folder
from mahals.models.registry import HubRef, ModelEntry

if TYPE_CHECKING:
    from mahals.models.blocks import decoder_blocks, vocabulary_tail
    from mahals.models.checkpoint import Loaded, load_checkpoint, random_weights

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

_WITH_TORCH = {
    "Loaded": "checkpoint",
    "load_checkpoint": "checkpoint",
    "random_weights": "checkpoint",
    "decoder_blocks": "blocks",
    "vocabulary_tail": "blocks",
}


def __getattr__(name: str) -> Any:
    """The name from the module that defines it, imported now."""
    if name not in _WITH_TORCH:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from mahals.models import blocks, checkpoint

    return getattr({"blocks": blocks, "checkpoint": checkpoint}[_WITH_TORCH[name]], name)
