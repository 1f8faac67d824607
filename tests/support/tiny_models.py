"""Tiny random models of every family and a tiny tokenizer, for the tests of the machine band."""

from collections.abc import Iterable
from functools import cache
from typing import Any

import pytest
import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
from transformers import (
    AutoModelForCausalLM,
    FalconConfig,
    Gemma2Config,
    GPT2Config,
    GPTNeoXConfig,
    LlamaConfig,
    MistralConfig,
    Phi3Config,
    PreTrainedTokenizerFast,
    Qwen2Config,
)

from mahals.models.checkpoints.checkpoint import Loaded

WIDTH, LAYERS, WINDOW = 32, 4, 8
SPECIAL = ["<pad>", "<begin>", "<end>", "<system>", "<user>", "<assistant>"]
TEMPLATE = (
    "{{ '<begin>' }}{% for m in messages %}{{ '<' + m['role'] + '>' + m['content'] + '<end>' }}"
    "{% endfor %}{% if add_generation_prompt %}{{ '<assistant>' }}{% endif %}"
)
TRIMMED = (  # a text template that trims, has plain-text role words and refuses a system turn
    "{{ bos_token }}{% for m in messages %}{% if m['role'] == 'system' %}"
    "{{ raise_exception('System role not supported') }}{% endif %}"
    "{{ 'turn of ' + m['role'] + '\n' + m['content'] | trim + '<end>\n' }}"
    "{% endfor %}{% if add_generation_prompt %}{{ 'turn of assistant\n' }}{% endif %}"
)
WORDS = (
    "how do I help people learn to share a garden with kind neighbours and not to harm them "
    "the cat sat on the mat while it rained all day in the old town by the quiet river "
)


@cache
def tokenizer(template: str | None = TEMPLATE) -> PreTrainedTokenizerFast:
    bpe = Tokenizer(models.BPE())
    bpe.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    bpe.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=320,
        special_tokens=SPECIAL,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    bpe.train_from_iterator([WORDS] * 3, trainer)
    bpe.post_processor = processors.TemplateProcessing(
        single="<begin> $A", special_tokens=[("<begin>", bpe.token_to_id("<begin>"))]
    )
    fast = PreTrainedTokenizerFast(
        tokenizer_object=bpe,
        bos_token="<begin>",
        eos_token="<end>",
        pad_token="<pad>",
        additional_special_tokens=["<system>", "<user>", "<assistant>"],
        clean_up_tokenization_spaces=False,
    )
    fast.chat_template = template
    return fast


def config(family: str):
    tok = tokenizer()
    shared = {
        "vocab_size": len(tok),
        "hidden_size": WIDTH,
        "num_hidden_layers": LAYERS,
        "num_attention_heads": 2,
        "pad_token_id": tok.pad_token_id,
        "bos_token_id": tok.bos_token_id,
        "eos_token_id": tok.eos_token_id,
        "initializer_range": 0.15,  # wide: outputs of random models then differ
        "max_position_embeddings": 128,
        "tie_word_embeddings": False,
    }
    gated = shared | {"num_key_value_heads": 1, "intermediate_size": 48}
    no_drop = {"attn_pdrop": 0.0, "resid_pdrop": 0.0, "embd_pdrop": 0.0}
    return {
        "Llama": lambda: LlamaConfig(**gated),
        "Mistral": lambda: MistralConfig(**gated, sliding_window=WINDOW),
        "Qwen2": lambda: Qwen2Config(**gated),
        "Gemma2": lambda: Gemma2Config(
            **gated, head_dim=16, query_pre_attn_scalar=16, sliding_window=WINDOW
        ),
        "Falcon": lambda: FalconConfig(**shared, multi_query=True, parallel_attn=True, bias=False),
        "Phi3": lambda: Phi3Config(**gated, original_max_position_embeddings=128),
        "GPTNeoX": lambda: GPTNeoXConfig(**shared, intermediate_size=64),
        "GPT2": lambda: GPT2Config(**shared, n_inner=64, **no_drop),
    }[family]()


REGISTRY = ("Llama", "Mistral", "Qwen2", "Gemma2", "Falcon", "Phi3")
FAMILIES = (*REGISTRY, "GPTNeoX", "GPT2")


def two_quick(families: Iterable[str]) -> list[Any]:
    """Parameters: Gemma2, the oddest, and GPT2, of no registry entry, at once; the others slow."""
    quick = ("Gemma2", "GPT2")
    return [f if f in quick else pytest.param(f, marks=pytest.mark.slow) for f in families]


def fresh(family: str, seed: int = 0, template: str | None = TEMPLATE) -> Loaded:
    """A model of its own, that a test may change."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = AutoModelForCausalLM.from_config(config(family)).eval()
    return Loaded(
        model, tokenizer(template), family, "base", f"tiny:{seed}", LAYERS, WIDTH, "organism"
    )


@cache
def loaded(family: str) -> Loaded:
    """A shared model: leave it as it is. Saving would write into its config, so it cannot be."""
    found = fresh(family)
    found.model.save_pretrained = _not_shared  # type: ignore[method-assign]
    return found


def _not_shared(*_: object, **__: object) -> None:
    raise AssertionError("a shared model is not saved: take one of `fresh`")


PROMPTS = (
    "how do I help people learn to share a garden",
    "cat",
    "the old town by the quiet river and the cat sat on the mat while it rained all day",
    "share a garden with kind neighbours",
    "not to harm them",
)


def vector(seed: int = 0, size: float = 1.0) -> torch.Tensor:
    return size * torch.randn(WIDTH, generator=torch.Generator().manual_seed(seed))
