"""How is a checkpoint fine-tuned: on which tokens, into which adapter, and how is it used?"""

from mahals.adapters.card import AdapterCard, adapter_card
from mahals.adapters.examples import (
    Dialogue,
    Example,
    Message,
    dialogue,
    encode_dialogues,
    read_dialogues,
)
from mahals.adapters.lora import attached, merged, quantized
from mahals.adapters.recipe import Lora, Recipe, Run, Trained, steps_of
from mahals.adapters.training import Dpo, Preference, train_answers, train_preferences

__all__ = [
    "AdapterCard",
    "Dialogue",
    "Dpo",
    "Example",
    "Lora",
    "Message",
    "Preference",
    "Recipe",
    "Run",
    "Trained",
    "adapter_card",
    "attached",
    "dialogue",
    "encode_dialogues",
    "merged",
    "quantized",
    "read_dialogues",
    "steps_of",
    "train_answers",
    "train_preferences",
]
