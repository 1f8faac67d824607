"""Are detectors those that an exchanged prompt wakes, and no others, whatever answers are about?"""

from __future__ import annotations

from itertools import permutations

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from mahals.maths.metrics.off_topic import detector_search, exchange_auc
from mahals.maths.metrics.permutation import Permutations
from mahals.maths.stats.intervals import Floats
from mahals.records import InputError

CHANCE = Permutations(2000, 3)
OFF_TOPIC, TOPIC, PROMPT, DEAD = (0, 1, 2), (3, 4, 5), 6, 7


def noise(seed: int, n: int = 8, m: int = 30) -> Floats:
    return np.random.default_rng(seed).random((n, n, 2, m))


def planted(seed: int) -> Floats:
    """Some latents where the prompt is another one's; others by answer or by prompt alone."""
    found, own = noise(seed), np.arange(8)
    found[..., OFF_TOPIC] += 0.8
    found[own, own] -= 0.8 * np.isin(np.arange(30), OFF_TOPIC)
    found[..., TOPIC] *= 1 + 9 * np.arange(8)[None, :, None, None]
    found[..., PROMPT] *= 1 + 9 * np.arange(8)[:, None, None]
    found[..., DEAD] = 0
    return np.maximum(found, 0)


def test_the_auc_compares_each_answer_with_itself() -> None:
    some = np.round(noise(0, n=4, m=3) * 4)  # with ties
    for latent, auc in enumerate(exchange_auc(some)):
        by_hand = [
            roc_auc_score([0, 1, 1, 1], [*some[[j], j, k, latent], *others])
            for j in range(4)
            for k in range(2)
            for others in [[some[i, j, k, latent] for i in range(4) if i != j]]
        ]
        assert auc == pytest.approx(np.mean(by_hand))


def test_what_an_answer_is_about_says_nothing() -> None:
    aucs = exchange_auc(planted(1))
    assert (aucs[list(OFF_TOPIC)] > 0.9).all() and aucs[DEAD] == 0.5
    plain = noise(1) * (1 + 99 * np.arange(8))[None, :, None, None]  # by answer
    assert exchange_auc(plain) == pytest.approx(exchange_auc(noise(1)))
    found = detector_search(planted(1), 0.05, CHANCE)
    assert np.flatnonzero(found.q <= 0.05).tolist() == list(OFF_TOPIC)
    assert DEAD not in found.live and found.q[DEAD] == 1 and len(found.live) == 29
    assert found.exchanged < 0.5


def test_p_is_that_of_all_ways_to_deal_answers_to_prompts() -> None:
    some = noise(2, n=4, m=1)
    ranks = np.array(
        [
            [
                np.mean(
                    [(np.delete(some[:, j, k, 0], i) > some[i, j, k, 0]).mean() for k in (0, 1)]
                )
                for j in range(4)
            ]
            for i in range(4)
        ]
    )
    sums = [sum(ranks[i, j] for i, j in enumerate(order)) for order in permutations(range(4))]
    exact = np.mean(np.array(sums) >= sums[0] - 1e-9)
    found = detector_search(some, 0.05, Permutations(5000, 0)).q[0]
    assert found == pytest.approx(exact, abs=0.03)


def test_without_detectors_few_searches_find_one() -> None:
    found = [detector_search(noise(10 + i, n=6), 0.05, Permutations(1000, i)) for i in range(20)]
    assert sum((f.q <= 0.05).any() for f in found) <= 4
    assert np.mean([f.exchanged for f in found]) < 0.2


def test_exchanged_labels_do_not_know_own_answers() -> None:
    some, own = noise(4), np.arange(8)
    other = some.copy()
    other[own, own] = np.arange(30) % 3
    (one, two) = (detector_search(x, 0.9, Permutations(300, 0)) for x in (some, other))
    assert one.exchanged == two.exchanged > 0 and (one.q != two.q).any()


def test_the_strict_rule_asks_for_silence_on_every_own_answer() -> None:
    some, own = np.ones((5, 5, 1, 4)), np.arange(5)
    some[own, own, :, :3] = 0  # 0 and 1 are silent on own answers, 2 fires too seldom
    some[0, 1, 0, 1] = 0
    some[:3, :, :, 2] = 0
    assert detector_search(some, 0.05, CHANCE).strict.tolist() == [0, 1]


def test_one_prompt_exchanges_nothing() -> None:
    with pytest.raises(InputError, match="2 or more with answers, got 1"):
        detector_search(noise(0, n=1), 0.05, CHANCE)
