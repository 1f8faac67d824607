"""Rows of esr_saes: what is known of an autoencoder, a candidate latent and a direction?"""

from dataclasses import dataclass

from mahals.maths.metrics.resistance import NONE


@dataclass(frozen=True)
class Row:
    """One autoencoder, one candidate latent, one step of choosing among them, or one direction."""

    model: str
    weights: str
    what: str  # sae | latent | step | direction
    name: str
    block: int  # that an autoencoder reads; that a direction is added at
    source: str  # of an SAE: trained | a release; of a direction: contrast | latent | random
    concept: str = NONE
    latent: int | None = None
    label: str = ""  # of a latent: a table's, or the words that activate it most
    step: str | None = None  # the one that a candidate did not pass
    why: str | None = None  # it did not, or the step was skipped
    count: int | None = None  # an autoencoder's latents; the candidates that are left after a step
    trained: int | None = None  # states that an autoencoder was trained on
    held_out: int | None = None  # states of other answers, of which the next three are
    fvu: float | None = None  # share of variance not explained; lower is better
    l0: float | None = None  # active latents a state
    dead: float | None = None  # share of latents that are never active; lower is better
    norm: float | None = None  # of a direction before it was scaled
    length: float | None = None  # mean length of states, to which directions are scaled
