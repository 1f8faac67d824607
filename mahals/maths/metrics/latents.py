"""Latents: which of them tell one kind of answer or token from another, and which match those?"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from mahals.maths.metrics.permutation import Permutations
from mahals.maths.stats.intervals import Floats, finite
from mahals.records import InputError

Indices = npt.NDArray[np.int64]
ROWS = 256  # permutations that are in memory at once
NEAREST, FACTOR = 5, 1.1  # as many latents can take one's place, and all within this factor
STRICT = 0.8  # share of exchanged answers on which the study's detectors are active


def latent_auc(activations: npt.ArrayLike, positive: npt.ArrayLike) -> Floats:
    """(m,): the share of pairs in which the positive row's activation is higher; ties count half.

    Of activations (n, m), rows being answers or tokens, and labels (n,). 1 or 0 is best, .5 chance.
    Raises InputError where all labels are alike.
    """
    values, labels = finite(activations, "activations", 2), np.asarray(positive, dtype=np.bool_)
    n1, n0 = int(labels.sum()), int((~labels).sum())
    if len(labels) != len(values) or not n1 or not n0:
        raise _unfit("labels", f"both kinds among {len(values)}", f"{n1} and {n0}")
    above = _mid_ranks(values)[labels].sum(axis=0) - n1 * (n1 + 1) / 2
    return np.asarray(above / (n1 * n0))


def prompt_permutation_p(
    own: npt.ArrayLike, exchanged: npt.ArrayLike, prompts: Sequence[str], chance: Permutations
) -> Floats:
    """(m,): one-sided p of each latent's AUC of exchanged against own answers, by permutation.

    Row i of own (n, m) and exchanged (n, m) is prompts[i] with an answer of its own and of another
    prompt's, each answer in both equally often. A permutation swaps all rows of a prompt at once:
    they are not independent. p = (1 + count of those as high) / (1 + count).
    Raises InputError for one prompt or unequal shapes.
    """
    mine, other = finite(own, "own answers", 2), finite(exchanged, "exchanged answers", 2)
    index = np.unique(np.asarray(prompts, dtype=np.str_), return_inverse=True)[1]
    if mine.shape != other.shape or len(index) != len(mine) or index.max() < 1:
        got = f"{mine.shape} and {other.shape} of {len(set(prompts))} prompts"
        raise _unfit("exchanged answers", "one beside each own one, of two prompts or more", got)
    ranks = _mid_ranks(np.concatenate([mine, other]))
    gain = np.zeros((index.max() + 1, mine.shape[1]))
    np.add.at(gain, index, ranks[len(mine) :] - ranks[: len(mine)])
    observed, reached = gain.sum(axis=0), np.ones(mine.shape[1])
    rng = np.random.default_rng(chance.seed)
    for at in range(0, chance.count, ROWS):  # sums of halves: exact, so that ties are ties
        signs = rng.integers(0, 2, (min(ROWS, chance.count - at), len(gain))) * 2.0 - 1.0
        reached += (signs @ gain >= observed).sum(axis=0)
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
    """As many random latents as targets, one in each one's place, of nearly its frequency.

    `frequencies` (m,): share of tokens on which a latent is active. Taken from the pool without
    targets and dead latents, each once. Raises InputError where too few are left.
    """
    often = finite(frequencies, "frequencies", 1)
    free = np.setdiff1d(np.asarray(pool, dtype=np.int64), np.asarray(targets, dtype=np.int64))
    free = free[often[free] > 0]
    if len(free) < len(targets):
        raise _unfit("pool", f"{len(targets)} live latents or more", f"{len(free)}")
    rng = np.random.default_rng(seed)
    found = np.empty(len(targets), dtype=np.int64)
    for place in rng.permutation(len(targets)):
        wanted = max(often[targets[place]], often[free].min())  # a target may be silent here
        away = np.abs(np.log(often[free] / wanted))
        near = max(np.log(FACTOR), np.sort(away)[min(NEAREST, len(free)) - 1])
        found[place] = rng.choice(free[away <= near])
        free = free[free != found[place]]
    return found


def _mid_ranks(values: Floats) -> Floats:
    """Ranks from 1 in each column of values (n, m); ties share the mean of theirs."""
    order = np.argsort(values, axis=0, kind="stable")
    ordered = np.take_along_axis(values, order, axis=0)
    place = np.arange(len(values))[:, None]
    new = np.diff(ordered, axis=0, prepend=-np.inf) > 0
    last = np.diff(ordered, axis=0, append=np.inf) > 0
    start = np.maximum.accumulate(np.where(new, place, 0), axis=0)
    end = np.minimum.accumulate(np.where(last, place, len(values))[::-1], axis=0)[::-1]
    ranks = np.empty(values.shape)
    np.put_along_axis(ranks, order, (start + end) / 2 + 1, axis=0)
    return ranks


def _unfit(what: str, expected: str, got: str) -> InputError:
    cure = "give more answers of other prompts, or a larger autoencoder"
    return InputError(what, expected=expected, got=got, cure=cure)
