"""Latent clamps: how are latents of a sparse autoencoder held at values in states?

h + sum_i (v_i - f_i(h)) W_dec[i] over the latents held: what the autoencoder does not explain of a
state stays, and nothing moves where f_i is v_i. The new state, read again, need not show v_i.
"""

from __future__ import annotations

import torch
from torch import Tensor

from mahals.models.saes.autoencoder import Sae, activate, encode, floored, rows_of, wrong


@torch.no_grad()
def clamp(
    sae: Sae,
    states: Tensor,
    latents: Tensor,
    values: Tensor,
    activations: Tensor | None = None,
) -> Tensor:
    """(..., d): new states, those of `states` (..., d) with latents (k,) held at `values` (k,).

    Formula at the head of this file. `activations` (..., m) of these states, if `encode` has them
    already, are read instead of computed. For many states, `Clamp` is faster.
    Raises InputError for indices out of range or twice, and for shapes that do not fit.
    """
    return Clamp(sae, latents, values).made(states, activations)


class Clamp:
    """Latents (k,) of distinct indices held at `values` (k,), for states of any number.

    Columns and rows of the k latents are taken out of the weights once; topk reads all columns.
    Raises InputError for indices out of range or twice, and for shapes that do not fit.
    """

    @torch.no_grad()
    def __init__(self, sae: Sae, latents: Tensor, values: Tensor) -> None:
        _check_latents(latents, values, sae.w_dec.shape[0])
        self.sae, self.latents, self.values = sae, latents, values.to(sae.w_dec)
        self.directions = sae.w_dec.index_select(0, latents)  # (k, d)
        self._columns = sae.w_enc.index_select(1, latents)  # (d, k)
        self._bias = sae.b_enc[latents]
        if sae.apply_b_dec_to_input:
            self._bias = self._bias - sae.b_dec @ self._columns
        self._threshold = floored(None if sae.threshold is None else sae.threshold[latents])

    @torch.no_grad()
    def steps(self, states: Tensor, activations: Tensor | None = None) -> Tensor:
        """(n, k): how far each of n states (..., d) goes along each direction, v - f(h)."""
        rows = rows_of(self.sae, states)
        if activations is not None:
            known = _known(activations, len(rows), self.sae.w_dec.shape[0])
            now = known.index_select(1, self.latents)
        elif self.sae.activation == "topk":
            now = encode(self.sae, rows).index_select(1, self.latents)
        else:
            now = torch.addmm(self._bias, rows, self._columns)
            now = activate(self.sae, now, self._threshold)
        return torch.sub(self.values, now, out=now)

    @torch.no_grad()
    def made(self, states: Tensor, activations: Tensor | None = None) -> Tensor:
        """New states (..., d), those given with the latents held. Raises InputError."""
        by = self.steps(states, activations)
        return torch.addmm(rows_of(self.sae, states), by, self.directions).view(states.shape)

    @torch.no_grad()
    def into(self, states: Tensor, activations: Tensor | None = None) -> Tensor:
        """The given states (..., d), changed in place: no copy is made.

        Raises InputError for states of another width or type, or not contiguous.
        """
        by = self.steps(states, activations)
        if not states.is_contiguous():
            raise wrong("states", "contiguous, to be changed in place", states.stride())
        states.view(-1, states.shape[-1]).addmm_(by, self.directions)
        return states


def _known(activations: Tensor, n: int, m: int) -> Tensor:
    """Activations as (n, m)."""
    if activations.shape[-1:] != (m,) or activations.numel() != n * m:
        raise wrong("activations", f"(..., {m}) of {n} states", tuple(activations.shape))
    return activations.reshape(n, m)


def _check_latents(latents: Tensor, values: Tensor, m: int) -> None:
    if latents.ndim != 1 or latents.dtype != torch.int64:
        raise wrong("latents", "(k,) of int64", f"{tuple(latents.shape)} of {latents.dtype}")
    if values.shape != latents.shape or not bool(torch.isfinite(values).all()):
        raise wrong("values", f"{tuple(latents.shape)}, finite", values)
    listed = latents.tolist()
    if len(set(listed)) < len(listed) or any(not 0 <= i < m for i in listed):
        raise wrong("latents", f"distinct indices from 0 to {m - 1}", listed)
