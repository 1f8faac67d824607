"""Latent steering: which latents of an autoencoder are held at a value, after which block?"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from mahals.models.saes.autoencoder import Sae
from mahals.models.saes.clamping import Clamp


@dataclass(frozen=True, eq=False)
class Hold:
    """Latents held at one value in the output of one block; 0 takes them out."""

    block: int  # 0-based
    sae: Sae
    latents: tuple[int, ...]
    value: float

    @cached_property
    def clamp(self) -> Clamp:
        """Made once, where the autoencoder lies. Raises InputError for latents it has not."""
        latents = torch.tensor(self.latents, dtype=torch.int64, device=self.sae.w_enc.device)
        return Clamp(
            self.sae, latents, torch.full(latents.shape, self.value, device=latents.device)
        )


def hold_states(hold: Hold, states: Tensor) -> Tensor:
    """h + sum_i (v - f_i(h)) W_dec[i] of states (..., d): see `clamping`.

    Computed in the autoencoder's type, where it lies; given back as the states came. A state whose
    latents have the value already does not change. Raises InputError for another width.
    """
    return hold.clamp.made(states.to(hold.sae.w_enc)).to(states)
