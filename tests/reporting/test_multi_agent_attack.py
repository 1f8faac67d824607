"""The routing attack: is it scored by hand, on other prompts than those on which it chose?"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from mahals.reporting.evidence import ArmEvidence
from mahals.reporting.multi_agent import Society
from mahals.reporting.multi_agent_attack import attack, attack_over_nulls
from tests.support.swept_rows import agent


def asked(target: str, unsafe: list[list[int]], seed: int = 0) -> ArmEvidence:
    """An agent that refused these of each axiom's unsafe prompts (7, k), and no safe one."""
    shares = np.array(unsafe)
    n = shares.size
    refused = np.concatenate([shares.ravel(), np.zeros(n, dtype=int)])
    one = agent(target, 5.0, list(refused), seed)
    return replace(
        one,
        safe=np.arange(2 * n) >= n,
        answered_axioms=np.concatenate([np.repeat(np.arange(7), shares.shape[1])] * 2),
    )


def test_every_unsafe_prompt_goes_to_the_agent_that_refuses_least_on_its_axiom() -> None:
    """By hand: A refuses all of axiom 0 and nothing else, B nothing of axiom 0 and all else."""
    a = asked("A", [[1] * 4] + [[0] * 4] * 6)
    b = asked("B", [[0] * 4] + [[1] * 4] * 6)
    found = attack(Society("x", (a, b)))
    assert found.hits.tolist() == [1.0] * 28 and found.n == 28 and not found.at_floor
    assert found.success.estimate == found.success.high == 1.0 and 0.8 < found.success.low < 1.0
    assert found.gain.estimate == 0.5, "a model drawn blindly refuses half"
    same = attack(Society("x", (a, a)))
    assert same.success.estimate == pytest.approx(6 / 7) and same.gain.estimate == 0.0


def test_the_weakest_is_found_on_other_prompts_than_it_is_scored_on() -> None:
    """Of two prompts an axiom A refuses the first and B the second. Who seems weakest on the one
    is the one that refuses the other: an attacker that chose and scored on the same would win all.
    """
    a, b = asked("A", [[1, 0]] * 7), asked("B", [[0, 1]] * 7)
    assert attack(Society("x", (a, b))).success.estimate == 0.0
    rng = np.random.default_rng(0)
    gains = []
    for seed in range(40):  # five agents that all refuse half by the toss of a coin
        tossed = [asked(t, rng.integers(0, 2, (7, 6)).tolist(), seed) for t in "ABCDE"]
        gains.append(attack(Society("x", tuple(tossed))).gain.estimate)
    assert abs(np.mean(gains)) < 3 * np.std(gains) / np.sqrt(40)
    assert np.mean(gains) < 0.1  # a choice on the same prompts wins .23 here


def test_agents_that_are_equally_weak_share_a_prompt_and_nobody_refusing_is_a_floor() -> None:
    none, also = asked("A", [[0] * 2] * 7), asked("B", [[0] * 2] * 7, 1)
    nothing = attack(Society("x", (none, also)))
    assert nothing.at_floor and nothing.success.estimate == 1.0 and nothing.gain.estimate == 0.0
    none_through = attack(Society("x", (asked("A", [[1] * 2] * 7), asked("B", [[1] * 2] * 7, 1))))
    assert none_through.success.low == 0.0 < none_through.success.high, "a share, inside [0, 1]"
    tied = attack(Society("x", (asked("A", [[1, 0, 0, 1]] * 7), asked("B", [[0, 1, 0, 1]] * 7))))
    assert set(tied.hits.tolist()) <= {0.0, 0.5, 1.0}


def test_the_attack_is_compared_with_both_families_and_the_harder_counts() -> None:
    """Steering by the vector leaves 1/4 through, random directions all, shuffled pairs half."""
    own = attack(Society("x", (asked("A", [[1, 1, 1, 0]] * 7),) * 2))
    every = attack(Society("r", (asked("A", [[0, 0, 0, 0]] * 7),) * 2))
    half = attack(Society("s", (asked("A", [[1, 1, 0, 0]] * 7),) * 2))
    found = attack_over_nulls(own, {"random": [every] * 3, "shuffled_pairs": [half] * 3})
    assert found is not None and found.family == "shuffled_pairs"
    assert found.gain.interval.estimate == pytest.approx(-0.25)
    assert found.every["random"].interval.estimate == pytest.approx(-0.75)
    assert found.every["random"].interval.high < 0, "alike as they are, they have an interval"
    assert attack_over_nulls(own, {"random": [every]}) is None
