"""Small autoencoders: random ones of each activation, and states to read."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor

from mahals.models.saes.autoencoder import Activation, Sae, tensors_of
from mahals.models.saes.files import ARCHITECTURES, CONFIG, WEIGHTS

D, M = 6, 20


def small(activation: Activation, apply: bool = True) -> Sae:
    rng = torch.Generator().manual_seed(3)
    w_enc, b_enc = torch.randn(D, M, generator=rng), torch.randn(M, generator=rng)
    w_dec, b_dec = torch.randn(M, D, generator=rng), torch.randn(D, generator=rng)
    threshold = torch.rand(M, generator=rng) if activation == "jumprelu" else None
    k = 4 if activation == "topk" else None
    return Sae(w_enc, b_enc, w_dec, b_dec, activation, apply, threshold, k)


def states(*shape: int) -> Tensor:
    return torch.randn(*shape, D, generator=torch.Generator().manual_seed(7))


def write_sae(sae: Sae, folder: Path) -> None:
    """Writes `folder` (made if missing) so that `read_sae` and sae-lens 6 read the same back."""
    d, m = sae.w_enc.shape
    config: dict[str, Any] = {
        "d_in": d,
        "d_sae": m,
        "dtype": str(sae.w_enc.dtype).removeprefix("torch."),
        "device": "cpu",
        "apply_b_dec_to_input": sae.apply_b_dec_to_input,
        "normalize_activations": "none",
        "reshape_activations": "none",
        "metadata": {},
        "architecture": next(a for a, name in ARCHITECTURES.items() if name == sae.activation),
    }
    if sae.k is not None:
        config |= {"k": sae.k, "rescale_acts_by_decoder_norm": False}
    folder.mkdir(parents=True, exist_ok=True)
    tensors = {name: t.detach().cpu().contiguous() for name, t in tensors_of(sae).items()}
    save_file(tensors, folder / WEIGHTS)
    (folder / CONFIG).write_text(json.dumps(config, indent=1) + "\n", encoding="utf-8")
