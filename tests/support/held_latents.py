"""Held latents: autoencoders as wide as the tiny models, and holds and boosts by plain hooks."""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager

import torch

from mahals.models.activations.capture import state_of
from mahals.models.checkpoints.blocks import decoder_blocks
from mahals.models.checkpoints.checkpoint import Loaded
from mahals.models.saes.autoencoder import Activation, Sae, encode
from mahals.models.saes.steering import Hold
from mahals.models.steering.interventions import Arm
from tests.support.tiny_models import WIDTH

LATENTS = 40
SILENT = (3, 11)  # latents that no state of the tiny models wakes


def wide(activation: Activation = "relu", seed: int = 5) -> Sae:
    """A random autoencoder of the tiny models' width, of which two latents are silent."""
    rng = torch.Generator().manual_seed(seed)
    w_enc, w_dec = (torch.randn(s, generator=rng) for s in ((WIDTH, LATENTS), (LATENTS, WIDTH)))
    b_enc, b_dec = torch.randn(LATENTS, generator=rng), torch.randn(WIDTH, generator=rng)
    b_enc[list(SILENT)] = -1e4
    threshold = torch.rand(LATENTS, generator=rng) if activation == "jumprelu" else None
    return Sae(
        w_enc * 0.3,
        b_enc,
        w_dec * 0.3,
        b_dec,
        activation,
        True,
        threshold,
        8 if activation == "topk" else None,
    )


def formula(hold: Hold, states: torch.Tensor) -> torch.Tensor:
    """h + sum over the latents of (value - f(h)) times the decoder row, latent by latent."""
    f, moved = encode(hold.sae, states), states
    for i in hold.latents:
        moved = moved + (hold.value - f[..., i : i + 1]) * hold.sae.w_dec[i]
    return moved


@contextmanager
def by_hand(
    at: Loaded, holds: Sequence[Hold], arm: Arm, until: int | None = None
) -> Iterator[dict[int, torch.Tensor]]:
    """Inside, a text is read with holds, then with the arm's `add` at tokens before `until`.

    Gives the states after each block that ran.
    """
    kept: dict[int, torch.Tensor] = {}

    def hook(block: int):
        def change(_, __, output):
            states = state_of(output)
            for hold in holds:
                states = formula(hold, states) if hold.block == block else states
            states = states.clone()
            for step in arm.steps:
                if step.block == block:
                    states[:, :until] += step.strength * step.direction
            kept[block] = states
            return states if isinstance(output, torch.Tensor) else (states, *output[1:])

        return change

    with ExitStack() as stack, torch.no_grad():
        for i, block in enumerate(decoder_blocks(at.model)):
            stack.callback(block.register_forward_hook(hook(i)).remove)
        yield kept
