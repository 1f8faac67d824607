"""Is kappa scikit-learn's where it is defined, and absent where it says nothing?"""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import cohen_kappa_score

from mahals.maths.stats.agreement import kappa
from mahals.records import InputError

ANSWERS = st.lists(st.tuples(st.booleans(), st.booleans()), min_size=2, max_size=30)


@settings(max_examples=80, deadline=None)
@given(ANSWERS)
def test_kappa_is_scikit_learns_where_both_vary(answers: list[tuple[bool, bool]]) -> None:
    a, b = (np.array(side) for side in zip(*answers, strict=True))
    found = kappa(a, b, None)
    assert found.observed == np.mean(a == b) and found.n == len(a)
    if a.all() or b.all() or not a.any() or not b.any():
        assert (found.kappa, found.interval) == (None, None) and "varies" in str(found.reason)
    else:
        assert found.kappa == pytest.approx(cohen_kappa_score(a, b))


def test_two_agents_that_never_vary_have_no_kappa_rather_than_0() -> None:
    for second in (np.zeros(9), np.ones(9)):
        found = kappa(np.ones(9), second, None)
        assert found.kappa is None and found.interval is None
        assert found.reason == "neither agent varies: kappa says nothing"
    found = kappa(np.ones(9), np.arange(9) % 2, None)
    assert found.reason == "the first agent never varies: kappa says nothing"


def test_the_interval_is_the_jackknife_over_left_out_prompts() -> None:
    rng = np.random.default_rng(0)
    a = rng.random(40) < 0.5
    b = np.where(rng.random(40) < 0.8, a, ~a)
    found = kappa(a, b, None)
    left = np.array([cohen_kappa_score(np.delete(a, i), np.delete(b, i)) for i in range(40)])
    error = np.sqrt(39 / 40 * ((left - left.mean()) ** 2).sum())
    assert found.interval is not None
    assert found.interval.standard_error == pytest.approx(error)
    assert found.interval.estimate == found.kappa
    doubled = kappa(np.tile(a, 2), np.tile(b, 2), [str(i % 40) for i in range(80)])
    assert doubled.interval is not None, "prompts said twice are no more evidence"
    assert doubled.interval.standard_error == pytest.approx(error, rel=0.05)


def test_the_interval_covers_the_truth() -> None:
    """Kappa of agents that say yes half the time and agree with probability .8 is .6."""
    rng = np.random.default_rng(1)
    inside = 0
    for _ in range(400):
        a = rng.random(100) < 0.5
        b = np.where(rng.random(100) < 0.8, a, ~a)
        interval = kappa(a, b, None).interval
        assert interval is not None
        inside += interval.low <= 0.6 <= interval.high
    assert inside / 400 >= 0.91


def test_one_prompt_that_decides_everything_gives_no_interval() -> None:
    a = np.arange(10) == 3
    found = kappa(a, a, None)
    assert found.kappa == 1 and found.interval is None and "one prompt" in str(found.reason)


def test_bad_input_is_refused() -> None:
    with pytest.raises(InputError, match="3 and 2 answers"):
        kappa([0, 1, 1], [0, 1], None)
    with pytest.raises(InputError, match="two prompts or more"):
        kappa([1], [1], None)
    with pytest.raises(InputError, match="0 or 1"):
        kappa([0, 2], [0, 1], None)
