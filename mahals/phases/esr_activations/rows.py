"""Rows of esr_activations: what is known of a set of latents, and of one that was chosen?"""

from dataclasses import dataclass

from mahals.maths.metrics.token_means import TokenMean


@dataclass(frozen=True)
class Row(TokenMean):
    """A mean of a set (`quantity`), on prompts that no latent was chosen on; its size; a latent."""

    live: int | None = None  # with a set's size: latents that it was chosen from
    latent: int | None = None
    found: float | None = None  # AUC on the half that it was chosen on
    kept: float | None = None  # on the other half
    q: float | None = None  # Benjamini and Hochberg's over live latents; of a set the least
