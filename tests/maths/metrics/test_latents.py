"""Are latents told apart as sklearn does, is chance told from finding, and are matches a match?"""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from mahals.maths.metrics.latents import (
    frequency_matched,
    latent_auc,
    prompt_permutation_p,
    strict_detectors,
)
from mahals.maths.metrics.permutation import Permutations
from mahals.maths.stats.intervals import Floats
from mahals.records import InputError


def sparse(seed: int, *shape: int) -> Floats:
    """Activations: mostly 0, the rest in steps, so that there are ties of both kinds."""
    rng = np.random.default_rng(seed)
    return np.round(rng.exponential(size=shape), 1) * (rng.random(shape) < 0.4)


def test_auc_is_sklearns_with_ties() -> None:
    values, labels = sparse(1, 60, 40), np.random.default_rng(2).random(60) < 0.3
    values[:, 0], values[:, 1] = 0.0, labels  # a dead latent, a perfect one
    expected = [roc_auc_score(labels, column) for column in values.T]
    found = latent_auc(values[~labels], values[labels])
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-12)
    assert found[:2].tolist() == [0.5, 1.0]
    for silent, active in ((values, values[:0]), (values[:0], values)):
        with pytest.raises(InputError, match="non-empty"):
            latent_auc(silent, active)


def test_p_is_that_of_every_swap_worked_by_hand() -> None:
    own, exchanged = sparse(3, 5, 1), sparse(4, 5, 1) + 0.2
    prompts = ["a", "a", "b", "c", "c"]  # three prompts: eight swaps
    labels = np.repeat([False, True], 5)
    found = roc_auc_score(labels, np.concatenate([own, exchanged])[:, 0])
    reached = []
    for swaps in itertools.product((False, True), repeat=3):
        swapped = np.array([swaps["abc".index(p)] for p in prompts])[:, None]
        one, other = np.where(swapped, exchanged, own), np.where(swapped, own, exchanged)
        reached.append(roc_auc_score(labels, np.concatenate([one, other])[:, 0]) >= found)
    p = prompt_permutation_p(own, exchanged, prompts, Permutations(20_000, 5))[0]
    assert p == pytest.approx(np.mean(reached), abs=0.01)


def test_p_is_small_for_what_is_planted_and_uniform_for_the_rest() -> None:
    n, m = 30, 1200
    own, exchanged = sparse(5, n, m), sparse(6, n, m)
    exchanged[:, :5] += 1.0
    own[:, 5:10] += 1.0
    own[:, 10], exchanged[:, 10] = 0.0, 0.0
    p = prompt_permutation_p(own, exchanged, [str(i) for i in range(n)], Permutations(999, 7))
    assert (p[:5] == 1 / 1000).all(), "the planted ones"
    assert (p[5:10] > 0.9).all(), "higher on own answers: one-sided"
    assert p[10] == 1.0, "a dead latent differs from no permutation"
    for level in (0.05, 0.2, 0.5):
        assert (p[11:] <= level).mean() == pytest.approx(level, abs=0.04)


def test_rows_that_share_a_prompt_are_one_observation() -> None:
    """Eight rows a prompt, all alike: taken for independent, a third of p would be below .05."""
    prompts, m = 12, 800
    rng = np.random.default_rng(8)
    own, exchanged = rng.normal(size=(2, prompts, m)).repeat(8, axis=1)
    whole = [str(i) for i in range(prompts) for _ in range(8)]
    p = prompt_permutation_p(own, exchanged, whole, Permutations(499, 9))
    assert (p <= 0.05).mean() < 0.08
    alone = [str(i) for i in range(prompts * 8)]
    assert (prompt_permutation_p(own, exchanged, alone, Permutations(499, 9)) <= 0.05).mean() > 0.2
    for bad in (whole[:-1], ["a"] * len(whole)):
        with pytest.raises(InputError, match="two prompts"):
            prompt_permutation_p(own, exchanged, bad, Permutations(9, 0))


def test_the_published_rule_by_hand() -> None:
    own = np.zeros((4, 4))
    own[2, 1] = 0.1  # once active on an own answer
    exchanged = np.ones((5, 4))
    exchanged[0, 2] = 0.0  # on four of five
    exchanged[:2, 3] = 0.0  # on three of five
    assert strict_detectors(own, exchanged).tolist() == [0, 2]


def test_matches_are_live_others_of_nearly_equal_frequency() -> None:
    rng = np.random.default_rng(10)
    often = np.exp(rng.uniform(-7, -1, 2000)) * (rng.random(2000) < 0.8)  # a fifth is dead
    targets = np.flatnonzero(often)[:30].tolist()
    pool = np.arange(0, 2000, 2).tolist()
    sets = [frequency_matched(often, targets, pool, seed) for seed in range(20)]
    for found in sets:
        assert len(set(found.tolist())) == 30
        assert set(found.tolist()) <= set(pool) - set(targets)
        away = np.log(often[found] / often[targets])
        assert np.abs(away).max() < 0.12 and (often[found] > 0).all()
    assert len({tuple(s.tolist()) for s in sets}) == 20
    assert np.array_equal(sets[3], frequency_matched(often, targets, pool, 3))


def test_few_latents_give_the_nearest_that_are_left() -> None:
    often = np.array([0.5, 0.0, 0.1, 0.2, 0.0, 0.9])
    assert sorted(frequency_matched(often, [0, 1], [0, 2, 3, 4], 0).tolist()) == [2, 3]
    rising = np.array([0.0, *np.geomspace(1e-4, 0.5, 40)])
    found = [int(frequency_matched(rising, [0], range(41), seed)[0]) for seed in range(30)]
    assert set(found) == {1, 2, 3, 4, 5}, "a target that is silent here: the rarest"
    with pytest.raises(InputError, match="3 live latents"):
        frequency_matched(often, [0, 1, 5], range(6), 0)
