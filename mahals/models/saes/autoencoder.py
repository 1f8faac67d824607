"""Sparse autoencoder: what do its latents read in states?

With h the states (rows of width d), W_enc (d, m), b_enc (m,), W_dec (m, d), b_dec (d,):

    f(h) = act((h - b_dec) W_enc + b_enc)   (b_dec is left out unless `apply_b_dec_to_input`)
    h^   = f W_dec + b_dec

relu: max(0, z). jumprelu: max(0, z) where z > threshold, else 0 (Rajamanoharan et al. 2024).
topk: max(0, z) for the k largest z of a row, else 0 (Gao et al. 2024).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, cast, get_args

import torch
from torch import Tensor

from mahals.records import InputError, unknown

Activation = Literal["relu", "jumprelu", "topk"]
CHUNK = 16  # rows


@dataclass(frozen=True, eq=False)
class Sae:
    """A sparse autoencoder of m latents on states of width d.

    Raises InputError where shapes, types or numbers do not fit each other.
    """

    w_enc: Tensor  # (d, m)
    b_enc: Tensor  # (m,)
    w_dec: Tensor  # (m, d)
    b_dec: Tensor  # (d,)
    activation: Activation
    apply_b_dec_to_input: bool
    threshold: Tensor | None = None  # (m,), of jumprelu alone
    k: int | None = None  # latents kept a row, of topk alone

    def __post_init__(self) -> None:
        """Checks every field."""
        if self.activation not in get_args(Activation):
            raise unknown("activation of an SAE", self.activation, get_args(Activation))
        if self.w_enc.ndim != 2:
            raise wrong("W_enc", "(d, m)", tuple(self.w_enc.shape))
        d, m = self.w_enc.shape
        shapes = {"b_enc": (m,), "W_dec": (m, d), "b_dec": (d,), "W_enc": (d, m)}
        if (self.threshold is not None) != (self.activation == "jumprelu"):
            raise wrong("threshold", "one with jumprelu, none without", self.activation)
        if (self.k is not None) != (self.activation == "topk"):
            raise wrong("k", "one with topk, none without", self.activation)
        if self.k is not None and not 1 <= self.k <= m:
            raise wrong("k", f"1 to {m}", self.k)
        for name, tensor in tensors_of(self).items():
            shape = shapes.get(name, (m,))
            if tuple(tensor.shape) != shape:
                raise wrong(name, str(shape), tuple(tensor.shape))
            if tensor.dtype != self.w_enc.dtype or not tensor.is_floating_point():
                raise wrong(name, f"floats of W_enc's type, {self.w_enc.dtype}", tensor.dtype)
            if not bool(torch.isfinite(tensor).all()):
                raise wrong(name, "finite numbers", "nan or inf")


@torch.no_grad()
def encode(sae: Sae, states: Tensor) -> Tensor:
    """(..., m): the activation of every latent, >= 0, of states (..., d).

    Formula at the head of this file. One array of the result's size is made.
    Raises InputError for states of another width or type.
    """
    rows = rows_of(sae, states)
    if sae.apply_b_dec_to_input:
        rows = rows - sae.b_dec
    z, threshold = rows @ sae.w_enc, floored(sae.threshold)
    room = torch.empty_like(z[:CHUNK])
    for at in range(0, len(z), CHUNK):  # a few rows at a time stay in the processor's cache
        activate(sae, z[at : at + CHUNK].add_(sae.b_enc), threshold, room)
    return z.view(*states.shape[:-1], -1)


@torch.no_grad()
def decode(sae: Sae, latents: Tensor) -> Tensor:
    """(..., d): the states f W_dec + b_dec of activations (..., m). Raises InputError."""
    if latents.ndim < 1 or latents.shape[-1] != sae.w_dec.shape[0]:
        raise wrong("latents", f"(..., {sae.w_dec.shape[0]})", tuple(latents.shape))
    return latents @ sae.w_dec + sae.b_dec


def floored(threshold: Tensor | None) -> Tensor | None:
    """A threshold below 0 is as one of 0: max(0, z) is 0 there."""
    return None if threshold is None else threshold.clamp_min(0.0)


def activate(sae: Sae, z: Tensor, threshold: Tensor | None, room: Tensor | None = None) -> Tensor:
    """The activation function on z (n, m), in place where it can be.

    `threshold` of jumprelu is `floored`; `room` has n rows or more to work in.
    """
    if sae.k is not None:
        kept, at = z.topk(sae.k, dim=-1, sorted=False)
        return z.zero_().scatter_(-1, at, kept.relu_())
    if threshold is None:
        return z.relu_()
    room = torch.empty_like(z) if room is None else room[: len(z)]
    return z.mul_(torch.gt(z, threshold, out=room))  # numbers: a product with bools is slow


def rows_of(sae: Sae, states: Tensor) -> Tensor:
    """States as (n, d)."""
    d = sae.w_enc.shape[0]
    if states.ndim < 1 or states.shape[-1] != d or states.dtype != sae.w_enc.dtype:
        got = f"{tuple(states.shape)} of {states.dtype}"
        raise wrong("states", f"(..., {d}) of {sae.w_enc.dtype}", got)
    return states.reshape(-1, d)


def tensors_of(sae: Sae) -> dict[str, Tensor]:
    """Every tensor under sae-lens's name."""
    named = {
        "W_enc": sae.w_enc,
        "b_enc": sae.b_enc,
        "W_dec": sae.w_dec,
        "b_dec": sae.b_dec,
        "threshold": sae.threshold,
    }
    return cast(dict[str, Tensor], {name: t for name, t in named.items() if t is not None})


def wrong(what: str, expected: str, got: object) -> InputError:
    """The error of an SAE, its files or states that do not fit."""
    cure = "give an SAE and states that fit each other, or convert it with sae-lens first"
    return InputError(what, expected=expected, got=str(got), cure=cure)
