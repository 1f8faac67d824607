"""Rows of esr_detectors: what is known of the search in one subject, and of one latent?"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Row:
    """One search, or one latent: a detector, or a random live one that is none."""

    model: str
    weights: str
    subject: str
    dictionary: str  # shared | own
    prompts: int  # on which latents were looked for
    what: str  # search | detector | random
    q: float  # Benjamini and Hochberg's over live latents; of a search the least
    latent: int | None = None
    label: str = ""
    found: float | None = None  # AUC of answers to other prompts over themselves to their own
    kept: float | None = None  # the same on evaluation prompts
    frequency: float | None = None  # share of the tokens of exchanged answers
    live: int | None = None  # latents that any answer wakes: so many are tested
    passed: int | None = None  # detectors
    strict: int | None = None  # latents by the published rule
    exchanged: float | None = None  # detectors with exchanged labels, mean over rounds
