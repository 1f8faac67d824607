"""Other families: tiny random models of architectures that no organism has, fit and unfit ones."""

import torch
import transformers
from transformers import AutoModelForCausalLM

from mahals.models.checkpoints.checkpoint import Loaded
from tests.support.tiny_models import LAYERS, WIDTH, config, tokenizer

_PROJECTED = {"ffn_dim": 48, "word_embed_proj_dim": 16, "init_std": 0.15}
_BARE = ("vocab_size", "hidden_size", "num_hidden_layers")

PRICED = {
    "OPT": ("OPTConfig", _PROJECTED),
    "OPT, norm after": ("OPTConfig", _PROJECTED | {"do_layer_norm_before": False}),
    "Cohere": ("CohereConfig", {"logit_scale": 0.1}),
    "Cohere2": ("Cohere2Config", {"logit_scale": 0.1}),
    "Granite": ("GraniteConfig", {"logits_scaling": 8.0, "residual_multiplier": 0.5}),
    "Gemma3": ("Gemma3TextConfig", {"head_dim": 16, "final_logit_softcapping": 2.0}),
    "Olmo": ("OlmoConfig", {}),
    "Olmo2": ("Olmo2Config", {}),
    "Qwen3": ("Qwen3Config", {"head_dim": 16}),
    "Phi": ("PhiConfig", {"partial_rotary_factor": 0.5}),
}
"""Families with a projection, a scale, a soft cap or a norm without weights around the head."""

RECURRENT = {
    "rwkv": ("RwkvConfig", {"attention_hidden_size": WIDTH, "context_length": 128}),
    "mamba": ("MambaConfig", {"state_size": 8}),
    "mamba2": ("Mamba2Config", {"state_size": 8, "num_heads": 8, "head_dim": 8, "n_groups": 1}),
    "falcon_mamba": ("FalconMambaConfig", {"state_size": 8}),
    "recurrent_gemma": ("RecurrentGemmaConfig", {"lru_width": WIDTH, "num_attention_heads": 2}),
    "lfm2": ("Lfm2Config", {"layer_types": ["conv", "full_attention"] * 2}),
    "jamba": ("JambaConfig", {"num_experts": 2, "attn_layer_period": 2, "attn_layer_offset": 1}),
    "xlstm": ("xLSTMConfig", {"num_heads": 2, "num_blocks": LAYERS}),
}
"""By model type: families that keep a state of their own in place of keys and values."""


def other(family: str, dtype: torch.dtype = torch.float32) -> Loaded:
    """A model of `PRICED` or `RECURRENT`, with random weights."""
    name, more = {**PRICED, **RECURRENT}[family]
    shared = config("Llama").to_dict()
    shared = {k: shared[k] for k in shared if k in _BARE or (family in PRICED and k in _ATTENTION)}
    made = getattr(transformers, name)(**shared | _ENDS | more)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = AutoModelForCausalLM.from_config(made).to(dtype).eval()
    return Loaded(model, tokenizer(), family, "base", "tiny:0", LAYERS, WIDTH, "hub")


_ENDS = {"pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2, "tie_word_embeddings": False}
_ATTENTION = (
    "num_attention_heads",
    "num_key_value_heads",
    "intermediate_size",
    "max_position_embeddings",
    "initializer_range",
)
