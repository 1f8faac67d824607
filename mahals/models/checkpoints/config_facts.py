"""Config facts: what does a checkpoint's config say of its architecture, without its weights?"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from mahals.records import InputError

_LAYERS = ("num_hidden_layers", "n_layer", "num_layers", "n_layers")
_WIDTH = ("hidden_size", "n_embd", "d_model", "word_embed_proj_dim")
_ENDS = ("ForCausalLM", "ForConditionalGeneration", "LMHeadModel", "Model")


@dataclass(frozen=True)
class ConfigFacts:
    """The architecture of a checkpoint."""

    family: str  # Llama, Gemma3, GPTNeoX: the class of the model without its ending
    layers: int  # decoder blocks
    width: int  # of the residual stream


def facts_of_config(config: Mapping[str, Any], where: str) -> ConfigFacts:
    """What config.json says. Raises InputError where it names no depth or no width."""
    inner = config.get("text_config")
    text = {**config, **inner} if isinstance(inner, Mapping) else config
    return ConfigFacts(
        family=_family(config),
        layers=_number(text, _LAYERS, where),
        width=_number(text, _WIDTH, where),
    )


def _family(config: Mapping[str, Any]) -> str:
    named = (config.get("architectures") or [config.get("model_type") or "unknown"])[0]
    for end in _ENDS:
        if str(named).endswith(end):
            return str(named).removesuffix(end)
    return str(named)


def _number(config: Mapping[str, Any], names: tuple[str, ...], where: str) -> int:
    for name in names:
        if isinstance(config.get(name), int):
            return int(config[name])
    raise InputError(
        where,
        expected=f"a causal language model, whose config has {names[0]}",
        got=", ".join(sorted(config)[:8]) or "an empty config",
        cure="name a checkpoint saved by save_pretrained, or state layers and width in its entry",
    )
