"""What do the libraries steering-vectors and repeng make of a tiny model? Their answer is stored.

Both need an older transformers, repeng also numpy 1, so they cannot stand beside this package. In
an environment of their own:

    pip install steering-vectors==0.12.2 repeng==0.4.0 "numpy<2" "transformers<5" safetensors
    python tests/project/peers/make.py

writes steering_vectors_repeng.safetensors next to this file: the weights of a seeded Llama, the
token numbers of both sides of 24 pairs, their vectors, and the logits of one batch steered by
steering-vectors. The config and the versions are in the file's metadata.
"""

from __future__ import annotations

import json
from importlib.metadata import version
from pathlib import Path

import numpy as np
import torch
from repeng import ControlVector, DatasetEntry
from safetensors.torch import save_file
from steering_vectors import train_steering_vector
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

FILE = Path(__file__).with_name("steering_vectors_repeng.safetensors")
SEED, PAIRS, WORDS = 11, 24, 60
STEERED, STRENGTH = (1, 2), 0.7  # blocks that steering-vectors steers at once, and how much
CONFIG = {
    "vocab_size": WORDS + 1,
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 4,
    "num_attention_heads": 2,
    "num_key_value_heads": 1,
    "max_position_embeddings": 64,
    "initializer_range": 0.15,
    "tie_word_embeddings": True,
    "pad_token_id": 0,
    "bos_token_id": 0,
    "eos_token_id": 0,
}


def tokenizer() -> PreTrainedTokenizerFast:
    """One token per word w1, w2, ...; nothing is put around a text."""
    names = {"<pad>": 0} | {f"w{i}": i for i in range(1, WORDS + 1)}
    words = Tokenizer(models.WordLevel(names, unk_token="<pad>"))
    words.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    return PreTrainedTokenizerFast(
        tokenizer_object=words, pad_token="<pad>", eos_token="<pad>", padding_side="right"
    )


def sides() -> tuple[list[list[int]], list[list[int]]]:
    """Pairs of texts of unlike lengths; the words of the first side come from the lower half."""
    rng = np.random.default_rng(SEED)
    lengths = rng.integers(3, 9, size=(PAIRS, 2))
    half = WORDS // 2
    first = [rng.integers(1, half + 1, size=n).tolist() for n in lengths[:, 0]]
    second = [rng.integers(half - 8, WORDS + 1, size=n).tolist() for n in lengths[:, 1]]
    return first, second


def words(ids: list[int]) -> str:
    return " ".join(f"w{i}" for i in ids)


def padded(texts: list[list[int]]) -> torch.Tensor:
    """(n, longest), 0 behind each text: no text holds a 0."""
    longest = max(map(len, texts))
    return torch.tensor([t + [0] * (longest - len(t)) for t in texts])


def main() -> None:
    """Writes the file."""
    torch.manual_seed(SEED)
    model = LlamaForCausalLM(LlamaConfig(**CONFIG)).eval()
    first, second = sides()
    texts = [(words(a), words(b)) for a, b in zip(first, second, strict=True)]
    tensors = {
        f"model.{k}": v.clone() for k, v in model.state_dict().items() if k != "lm_head.weight"
    }
    tensors |= {"chosen": padded(first), "rejected": padded(second)}

    mean = train_steering_vector(model, tokenizer(), texts, batch_size=5)
    tensors["mean"] = torch.stack([mean.layer_activations[i] for i in range(4)])
    some = train_steering_vector(model, tokenizer(), texts, layers=list(STEERED))
    batch = torch.tensor([t[:3] for t in first[:4]])
    with torch.no_grad():
        tensors["plain"] = model(batch).logits
        with some.apply(model, multiplier=STRENGTH):
            tensors["steered"] = model(batch).logits
    tensors["batch"] = batch

    entries = [DatasetEntry(a, b) for a, b in texts]
    for method in ("pca_diff", "pca_center"):
        layers = list(range(4))
        found = ControlVector.train(
            model, tokenizer(), entries, method=method, hidden_layers=layers
        )
        rows = [torch.from_numpy(found.directions[i]) for i in layers]
        tensors[method] = torch.stack(rows)
    peers = ("steering-vectors", "repeng", "transformers", "torch", "numpy", "scikit-learn")
    metadata = {name: version(name) for name in peers}
    metadata |= {"config": json.dumps(CONFIG), "blocks": json.dumps(STEERED)}
    metadata["strength"] = str(STRENGTH)
    save_file({k: v.contiguous() for k, v in tensors.items()}, FILE, metadata)


if __name__ == "__main__":
    main()
