"""Small autoencoders: random ones of each activation, and states to read."""

from __future__ import annotations

import torch
from torch import Tensor

from mahals.models.saes.autoencoder import Activation, Sae

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
