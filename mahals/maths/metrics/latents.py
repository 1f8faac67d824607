"""Latents: which of them tell one kind of answer or token from another, and which match those?"""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from scipy.stats import rankdata

from mahals.maths.metrics.permutation import Permutations
from mahals.maths.stats.intervals import Floats, finite
from mahals.records import InputError

Indices = npt.NDArray[np.int64]
ROWS = 256  # permutations that are in memory at once
NEAREST, FACTOR = 5, 1.1  # as many latents can take one's place, and all within this factor
STRICT = 0.8  # share of exchanged answers on which the study's detectors are active
CURE = "give more answers of other prompts, or a larger autoencoder"


def latent_auc(silent: npt.ArrayLike, active: npt.ArrayLike) -> Floats:
    """(m,): the share of pairs in which a row of active (k, m) is above one of silent (n, m).

    Rows are answers or tokens; ties count half. 1 or 0 is best, .5 chance. Raises InputError for
    no rows.
    """
    low, high = finite(silent, "silent rows", 2), finite(active, "active rows", 2)
    n, k = len(low), len(high)
    ranks = rankdata(np.concatenate([low, high]), axis=0)[n:].sum(axis=0)
    return np.asarray((ranks - k * (k + 1) / 2) / (n * k))


def prompt_permutation_p(
    own: npt.ArrayLike, exchanged: npt.ArrayLike, prompts: Sequence[str], chance: Permutations
) -> Floats:
    """(m,): one-sided p of each latent's AUC of exchanged (n, m) against own answers (n, m).

    Row i of both is of prompts[i]. A permutation swaps all rows of a prompt at once, which are not
    independent: p = (1 + those as high) / (1 + count). Raises InputError for one prompt or unequal
    shapes.
    """
    mine, other = finite(own, "own answers", 2), finite(exchanged, "exchanged answers", 2)
    index = np.unique(np.asarray(prompts, dtype=np.str_), return_inverse=True)[1]
    if mine.shape != other.shape or len(index) != len(mine) or index.max() < 1:
        wanted = "one beside each own one, of two prompts or more"
        got = f"{mine.shape} and {other.shape} of {len(set(prompts))} prompts"
        raise InputError("exchanged answers", expected=wanted, got=got, cure=CURE)
    ranks = rankdata(np.concatenate([mine, other]), axis=0)
    gain = np.zeros((index.max() + 1, mine.shape[1]))
    np.add.at(gain, index, ranks[len(mine) :] - ranks[: len(mine)])
    reached, rng = np.ones(mine.shape[1]), np.random.default_rng(chance.seed)
    for at in range(0, chance.count, ROWS):  # sums of halves: exact, so that ties are ties
        signs = rng.integers(0, 2, (min(ROWS, chance.count - at), len(gain))) * 2.0 - 1.0
        reached += (signs @ gain >= gain.sum(axis=0)).sum(axis=0)
    return np.asarray(reached / (1 + chance.count))


def strict_detectors(own: npt.ArrayLike, exchanged: npt.ArrayLike) -> Indices:
    """The latents that the study calls detectors: 0 on every own, active on 80 % of exchanged.

    Of activations (n, m) and (k, m), the largest of an answer's tokens.
    """
    silent = (finite(own, "own answers", 2) <= 0).all(axis=0)
    active = (finite(exchanged, "exchanged answers", 2) > 0).mean(axis=0) >= STRICT
    return np.flatnonzero(silent & active)


def frequency_matched(
    frequencies: npt.ArrayLike, targets: Sequence[int], pool: Sequence[int], seed: int
) -> Indices:
    """For each target another latent of the pool, live, of nearly its frequency; each once.

    `frequencies` (m,): share of tokens with it. Raises InputError where too few are left.
    """
    often = finite(frequencies, "frequencies", 1)
    free = np.setdiff1d(np.asarray(pool, dtype=np.int64), np.asarray(targets, dtype=np.int64))
    free = free[often[free] > 0]
    if len(free) < len(targets):
        wanted = f"{len(targets)} live latents or more"
        raise InputError("pool", expected=wanted, got=str(len(free)), cure=CURE)
    rng, found = np.random.default_rng(seed), np.empty(len(targets), dtype=np.int64)
    for place in rng.permutation(len(targets)):
        like = max(often[targets[place]], often[free].min())  # a target may be silent here
        away = np.abs(np.log(often[free] / like))
        near = max(np.log(FACTOR), np.sort(away)[min(NEAREST, len(free)) - 1])
        found[place] = rng.choice(free[away <= near])
        free = free[free != found[place]]
    return found
