"""Off topic: which latents does an answer wake more where the prompt is not its own, beyond chance?

Of activations (n, n, s, m): the largest of an answer's tokens, with prompt i before answer k to
prompt j. An answer is compared with itself: what it is about, and its length, say nothing.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.stats import rankdata

from mahals.maths.metrics.latents import Indices, strict_detectors
from mahals.maths.metrics.permutation import Permutations
from mahals.maths.stats.controls import benjamini_hochberg
from mahals.maths.stats.intervals import Floats
from mahals.records import InputError


@dataclass(frozen=True, eq=False)
class DetectorSearch:
    """What the prompts of a search say of m latents."""

    q: Floats  # (m,) Benjamini and Hochberg's over live latents; 1 of dead ones
    live: Indices  # active in any answer
    strict: Indices  # detectors by the published rule
    exchanged: float  # latents that pass with exchanged labels, mean over rounds


def exchange_auc(activations: Floats) -> Floats:
    """(m,): share of other prompts that make an answer wake a latent more than its own does.

    Ties count half; .5 is chance.
    """
    return np.asarray(np.diagonal(_above(activations)).mean(axis=-1))


def detector_search(activations: Floats, level: float, chance: Permutations) -> DetectorSearch:
    """Which latents have an `exchange_auc` that chance alone does not reach.

    p: how often it is as high where every prompt's answers, all of them together, are given to a
    prompt by chance. The control takes another prompt's answers for own ones, and puts these in the
    middle. Raises InputError for fewer than 2 prompts.
    """
    n, m = len(activations), activations.shape[-1]
    if n < 2:
        cure = "count more prompts, or ask for fewer answers to each"
        raise InputError("prompts", expected="2 or more with answers", got=str(n), cure=cure)
    live, own = np.flatnonzero((activations > 0).any(axis=(0, 1, 2))), np.arange(n)
    others = np.stack([activations[own != j, j] for j in own], axis=1)  # (n - 1, n, s, m)
    neutral = activations.copy()
    neutral[own, own] = others.mean(axis=0)

    def q_of(some: Floats) -> Floats:
        shares, rng = _above(some[..., live]), np.random.default_rng(chance.seed)
        observed, reached = shares[own, own].sum(axis=0) - 1e-9, np.ones(len(live))
        for _ in range(chance.count):
            reached += shares[own, rng.permutation(n)].sum(axis=0) >= observed
        q = np.ones(m)
        q[live] = benjamini_hochberg(list(reached / (1 + chance.count)))
        return q

    turns = [np.roll(neutral, -k, axis=1) for k in range(1, n)]
    passing = [int((q_of(turn) <= level).sum()) for turn in turns]
    strict = strict_detectors(activations[own, own].reshape(-1, m), others.reshape(-1, m))
    return DetectorSearch(q_of(activations), live, strict, float(np.mean(passing)))


def _above(activations: Floats) -> Floats:
    """(n, n, m): share of prompts to which an answer is more active than to this one."""
    ranks = rankdata(-activations, axis=0)
    return np.asarray((ranks - 1).mean(axis=2) / (len(activations) - 1))
