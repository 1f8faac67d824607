"""Autoencoder training: into which sparse directions do states of a model fall?

TopK (Gao et al. 2024, without their AuxK loss: the share of dead latents is measured instead). The
loss is the mean squared error. Inside, states are centred and scaled to a mean squared norm of d;
both are folded into the biases, so that raw states are read.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor

from mahals.models.saes.autoencoder import Sae, decode, encode, wrong
from mahals.records import InputError, Positive

CHUNK = 1024  # states that are read at once
TAIL = 0.2  # share of the steps over which the rate falls to 0
Weights = tuple[Tensor, Tensor, Tensor, Tensor]  # W_enc, b_enc, W_dec, b_dec


@dataclass(frozen=True)
class SaeTraining:
    """How an autoencoder is trained."""

    latents: Positive
    k: Positive  # active latents a state
    steps: Positive
    rows: Positive  # states a step
    rate: float  # of Adam


@dataclass(frozen=True)
class SaeQuality:
    """How well an autoencoder reads states."""

    fvu: float  # share of their variance that it does not explain; lower is better
    l0: float  # active latents a state
    dead: float  # share of latents that are active in none of them; lower is better


def train_sae(states: Tensor, training: SaeTraining, seed: int) -> Sae:
    """A TopK autoencoder of states (n, d), in float32 on the CPU, its decoder rows of norm 1.

    The same states and seed give the same bytes, with pinned kernels on every CPU.
    Raises InputError for states without variance or a training that cannot be, and where the
    weights are not finite numbers at the end.
    """
    _check_variance(states)
    _check_training(training)
    mean = states.mean(dim=0, dtype=torch.float32)
    x = states.float() - mean
    scale = math.sqrt(x.shape[1] / float(x.square().sum(dim=1).mean()))
    x *= scale
    generator = torch.Generator().manual_seed(seed)
    weights = _start(x, training.latents, generator)
    # fused, its roots are exact on every CPU
    optimizer = torch.optim.Adam(weights, lr=training.rate, fused=x.device.type == "cpu")
    for step in range(training.steps):
        left = (training.steps - step) / (TAIL * training.steps)
        optimizer.param_groups[0]["lr"] = training.rate * min(1.0, left)
        picked = torch.randint(len(x), (training.rows,), generator=generator)
        _error(x[picked.to(x.device)], weights, training.k).backward()  # type: ignore[no-untyped-call]
        _step(optimizer, weights[2])
    w_enc, b_enc, w_dec, b_dec = (weight.detach() for weight in weights)
    b_enc, b_dec = b_enc / scale, b_dec / scale + mean  # which k are largest stays, z / scale
    enc, dec = (w_enc.cpu(), b_enc.cpu()), (w_dec.cpu(), b_dec.cpu())
    return Sae(*enc, *dec, activation="topk", apply_b_dec_to_input=True, k=training.k)


def sae_quality(sae: Sae, states: Tensor) -> SaeQuality:
    """The quality of an autoencoder on states (n, d) that it was not trained on.

    Raises InputError for states of another width, or without variance.
    """
    _check_variance(states)
    mean = states.mean(dim=0, dtype=torch.float64).to(sae.w_dec.device)
    left = total = active = 0.0
    alive = torch.zeros_like(sae.b_enc, dtype=torch.bool)
    for part in torch.split(states, CHUNK):
        rows = part.to(sae.w_dec)
        latents = encode(sae, rows)
        left += float((rows - decode(sae, latents)).double().square().sum())
        total += float((rows - mean).square().sum())
        active += float((latents > 0).sum())
        alive |= (latents > 0).any(dim=0)
    return SaeQuality(left / total, active / len(states), float((~alive).double().mean()))


def _start(x: Tensor, m: int, generator: torch.Generator) -> Weights:
    """Random decoder rows of norm 1, the encoder their transpose, biases of 0."""
    rows = torch.randn(m, x.shape[1], generator=generator)
    rows = (rows / rows.norm(dim=1, keepdim=True)).to(x.device)
    weights = (rows.T.contiguous(), x.new_zeros(m), rows, x.new_zeros(x.shape[1]))
    for weight in weights:
        weight.requires_grad_(True)
    return weights


def _error(x: Tensor, weights: Weights, k: int) -> Tensor:
    """Mean squared error of the k largest latents' reconstruction."""
    w_enc, b_enc, w_dec, b_dec = weights
    z = (x - b_dec) @ w_enc + b_enc
    kept, at = z.topk(k, dim=-1)
    latents = torch.zeros_like(z).scatter(-1, at, kept.relu())
    return (x - b_dec - latents @ w_dec).square().mean()


@torch.no_grad()
def _step(optimizer: torch.optim.Adam, w_dec: Tensor) -> None:
    """One step along which decoder rows turn and do not grow."""
    slope = cast(Tensor, w_dec.grad)
    slope -= (slope * w_dec).sum(dim=1, keepdim=True) * w_dec
    optimizer.step()
    w_dec /= w_dec.norm(dim=1, keepdim=True)
    optimizer.zero_grad()


def _check_variance(states: Tensor) -> None:
    """Raises InputError."""
    whole = states.ndim == 2 and states.is_floating_point() and len(states) > 1
    if not whole or not bool(torch.isfinite(states).all()) or bool((states == states[0]).all()):
        got = f"{tuple(states.shape)} of {states.dtype}"
        raise wrong("states", "(n, d) finite floats, of two different rows or more", got)


def _check_training(training: SaeTraining) -> None:
    """Raises InputError."""
    least = min(training.latents, training.k, training.steps, training.rows)
    if least < 1 or training.k > training.latents or not 0 < training.rate < math.inf:
        raise InputError(
            "training of an SAE",
            expected="numbers above 0, and no more active latents than there are",
            got=str(training),
            cure="lower k, or raise latents, steps, rows or rate",
        )
