"""Shapes: what small model of a real architecture is an organism, and how is one made?

The class is the family's own in transformers; only the sizes are small. Every Linear has an
out_features that is a multiple of 32.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from transformers import (
    FalconConfig,
    FalconForCausalLM,
    Gemma2Config,
    Gemma2ForCausalLM,
    LlamaConfig,
    LlamaForCausalLM,
    MistralConfig,
    MistralForCausalLM,
    Phi3Config,
    Phi3ForCausalLM,
    PreTrainedModel,
    PreTrainedTokenizerFast,
    Qwen2Config,
    Qwen2ForCausalLM,
)

from mahals.records import InputError, unknown


@dataclass(frozen=True)
class OrganismShape:
    """The sizes of one organism, as they stand in the registry."""

    family: str  # Llama, Mistral, Qwen2, Gemma2, Falcon or Phi3
    width: int  # of the residual stream
    layers: int  # decoder blocks
    heads: int
    kv_heads: int
    ff: int  # inner width of the MLP
    tied: bool  # the LM head is the embedding


def _shared(shape: OrganismShape, tokenizer: PreTrainedTokenizerFast) -> dict[str, Any]:
    return {
        "vocab_size": len(tokenizer),
        "hidden_size": shape.width,
        "num_hidden_layers": shape.layers,
        "num_attention_heads": shape.heads,
        "pad_token_id": tokenizer.pad_token_id,
        "bos_token_id": tokenizer.bos_token_id,
        "eos_token_id": tokenizer.eos_token_id,
        "tie_word_embeddings": shape.tied,
        "initializer_range": 0.05,
    }


def _gated(shape: OrganismShape, tokenizer: PreTrainedTokenizerFast) -> dict[str, Any]:
    return _shared(shape, tokenizer) | {
        "num_key_value_heads": shape.kv_heads,
        "intermediate_size": shape.ff,
        "max_position_embeddings": 512,
    }


def _llama(shape: OrganismShape, tokenizer: PreTrainedTokenizerFast) -> PreTrainedModel:
    return LlamaForCausalLM(LlamaConfig(**_gated(shape, tokenizer)))


def _mistral(shape: OrganismShape, tokenizer: PreTrainedTokenizerFast) -> PreTrainedModel:
    return MistralForCausalLM(MistralConfig(**_gated(shape, tokenizer), sliding_window=None))


def _qwen2(shape: OrganismShape, tokenizer: PreTrainedTokenizerFast) -> PreTrainedModel:
    return Qwen2ForCausalLM(Qwen2Config(**_gated(shape, tokenizer)))


def _gemma2(shape: OrganismShape, tokenizer: PreTrainedTokenizerFast) -> PreTrainedModel:
    head = shape.width // shape.heads
    config = Gemma2Config(
        **_gated(shape, tokenizer),
        head_dim=head,
        query_pre_attn_scalar=head,
        sliding_window=256,
        attn_implementation="eager",
    )
    return Gemma2ForCausalLM(config)


def _falcon(shape: OrganismShape, tokenizer: PreTrainedTokenizerFast) -> PreTrainedModel:
    if shape.kv_heads != 1:
        raise InputError(
            "kv_heads of a Falcon organism",
            expected="1 (multi-query, as Falcon-7B)",
            got=str(shape.kv_heads),
            cure="set kv_heads: 1 in its organism shape",
        )
    config = FalconConfig(
        **_shared(shape, tokenizer),
        multi_query=True,
        parallel_attn=True,
        new_decoder_architecture=False,
        alibi=False,
        bias=False,
        ffn_hidden_size=shape.ff,
        hidden_dropout=0.0,
        attention_dropout=0.0,
    )
    return FalconForCausalLM(config)


def _phi3(shape: OrganismShape, tokenizer: PreTrainedTokenizerFast) -> PreTrainedModel:
    config = Phi3Config(
        **_gated(shape, tokenizer), original_max_position_embeddings=512, sliding_window=None
    )
    return Phi3ForCausalLM(config)


FAMILIES: dict[str, Callable[[OrganismShape, PreTrainedTokenizerFast], PreTrainedModel]] = {
    "Llama": _llama,
    "Mistral": _mistral,
    "Qwen2": _qwen2,
    "Gemma2": _gemma2,
    "Falcon": _falcon,
    "Phi3": _phi3,
}


def build(shape: OrganismShape, tokenizer: PreTrainedTokenizerFast, seed: int) -> PreTrainedModel:
    """A randomly initialised model of `shape`, in float32 and eval mode; the seed decides it.

    Raises InputError for a family that is not among FAMILIES, or sizes that leave a Linear with
    out_features that is no multiple of 32.
    """
    if shape.family not in FAMILIES:
        raise unknown("family of an organism", shape.family, FAMILIES)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = FAMILIES[shape.family](shape, tokenizer)
    odd = {
        name: module.out_features
        for name, module in model.named_modules()
        if isinstance(module, torch.nn.Linear) and module.out_features % 32
    }
    if odd:
        name, size = next(iter(odd.items()))
        raise InputError(
            f"organism shape of family {shape.family}",
            expected="every Linear with out_features a multiple of 32",
            got=f"{size} in {name}",
            cure="make width, width / heads * kv_heads and ff multiples of 32",
        )
    model.generation_config.pad_token_id = tokenizer.pad_token_id
    return model.eval()
