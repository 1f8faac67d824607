"""Latent steering: which latents of an autoencoder are held at a value, after which block?"""

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
        return Clamp(self.sae, latents, torch.full_like(latents, self.value, dtype=torch.float32))

    def apply(self, states: Tensor) -> Tensor:
        """New states (..., d), by the formula of `clamping`, in their type. Raises InputError."""
        return self.clamp.made(states.to(self.sae.w_enc)).to(states)
