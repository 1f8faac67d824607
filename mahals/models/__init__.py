"""Which checkpoints are there, and what does loading one give?"""

from mahals.models.blocks import decoder_blocks, vocabulary_tail
from mahals.models.checkpoint import Loaded, load_checkpoint, random_weights
from mahals.models.hub import available_locally, cached_folder, hub_folder
from mahals.models.registry import HubRef, ModelEntry

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
