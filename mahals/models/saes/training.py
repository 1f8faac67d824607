"""Autoencoder training: into which sparse directions do states of a model fall?"""

import math
from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor

from mahals.models.saes.autoencoder import Sae, decode, encode, wrong
from mahals.records import InputError, Positive

CHUNK = 1024  # states that are read at once
TAIL = 0.2  # share of the steps over which the rate falls to 0


@dataclass(frozen=True)
class SaeTraining:
    """How an autoencoder is trained."""

    latents: Positive
    k: Positive  # active latents a state
    steps: Positive
    rows: Positive  # states a step
    rate: float  # of Adam

    def __post_init__(self) -> None:
        """Raises InputError for a training that cannot be."""
        least = min(self.latents, self.k, self.steps, self.rows)
        if least < 1 or self.k > self.latents or not 0 < self.rate < math.inf:
            expected = "numbers above 0, and no more active latents than there are"
            cure = "lower k, or raise latents, steps, rows or rate"
            raise InputError("training of an SAE", expected=expected, got=str(self), cure=cure)


@dataclass(frozen=True)
class SaeQuality:
    """How well an autoencoder reads states."""

    fvu: float  # share of their variance that it does not explain; lower is better
    l0: float  # active latents a state
    dead: float  # share of latents that are active in none of them; lower is better


def train_sae(states: Tensor, training: SaeTraining, seed: int) -> Sae:
    """A TopK autoencoder (Gao et al. 2024, without AuxK) of states (n, d), decoder rows of norm 1.

    The same states and seed give the same bytes, with pinned kernels on every CPU. Raises
    InputError for states without variance, and where the weights are not finite at the end.
    """
    _check_variance(states)
    mean = states.mean(dim=0, dtype=torch.float32)
    x = states.float() - mean
    scale = math.sqrt(x.shape[1] / float(x.square().sum(dim=1).mean()))
    x *= scale  # a mean squared norm of d; mean and scale are folded into the biases at the end
    generator = torch.Generator().manual_seed(seed)
    w_dec = torch.randn(training.latents, x.shape[1], generator=generator)
    w_dec /= w_dec.norm(dim=1, keepdim=True)
    w_enc, b_enc, b_dec = w_dec.T.contiguous(), x.new_zeros(len(w_dec)), x.new_zeros(x.shape[1])
    weights = [weight.requires_grad_() for weight in (w_enc, b_enc, w_dec, b_dec)]
    optimizer = torch.optim.Adam(weights, fused=True)  # its roots are exact on every CPU
    for step in range(training.steps):
        left = (training.steps - step) / (TAIL * training.steps)
        optimizer.param_groups[0]["lr"] = training.rate * min(1.0, left)
        batch = x[torch.randint(len(x), (training.rows,), generator=generator)]
        z = (batch - b_dec) @ w_enc + b_enc
        kept, at = z.topk(training.k, dim=-1)
        latents = torch.zeros_like(z).scatter(-1, at, kept.relu())
        loss = (batch - b_dec - latents @ w_dec).square().mean()
        loss.backward()  # type: ignore[no-untyped-call]
        with torch.no_grad():  # decoder rows turn and do not grow
            slope = cast(Tensor, w_dec.grad)
            slope -= (slope * w_dec).sum(dim=1, keepdim=True) * w_dec
            optimizer.step()
            w_dec /= w_dec.norm(dim=1, keepdim=True)
        optimizer.zero_grad()
    w_enc, b_enc, w_dec, b_dec = (weight.detach() for weight in weights)
    return Sae(w_enc, b_enc / scale, w_dec, b_dec / scale + mean, "topk", True, k=training.k)


def sae_quality(sae: Sae, states: Tensor) -> SaeQuality:
    """On states (n, d) that it was not trained on. Raises InputError for any that do not fit."""
    _check_variance(states)
    mean = states.mean(dim=0, dtype=torch.float64)
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


def _check_variance(states: Tensor) -> None:
    whole = states.ndim == 2 and states.is_floating_point() and len(states) > 1
    if not whole or not bool(torch.isfinite(states).all()) or bool((states == states[0]).all()):
        got = f"{tuple(states.shape)} of {states.dtype}"
        raise wrong("states", "(n, d) finite floats, of two different rows or more", got)
