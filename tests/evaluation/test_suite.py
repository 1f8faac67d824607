"""Suite: are blocks chosen by number or depth, and prices judged by their intervals?"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from scipy import stats

from mahals.evaluation.suite import (
    Ceiling,
    NeutralLoss,
    Price,
    Verdict,
    depth_of,
    nearest_block,
    steered_blocks,
)
from tests.support.tiny_lab import SUITE, TinyLab, refused


@pytest.mark.parametrize(("depth", "block"), [(4, 1), (5, 2), (6, 3), (28, 16), (32, 18), (42, 24)])
def test_auto_is_the_block_nearest_relative_depth_six_tenths(depth: int, block: int) -> None:
    assert steered_blocks("auto", depth, "organism") == (block,)
    distances = [abs((b + 1) / depth - 0.6) for b in range(depth)]
    assert distances[block] == min(distances)


@pytest.mark.parametrize(
    ("layers", "depth", "weights", "blocks"),
    [
        ("auto", 32, "hub", (27, 28, 29, 30, 31)),
        ("auto", 3, "hub", (0, 1, 2)),
        ("all", 4, "organism", (0, 1, 2, 3)),
        ((-1.0, -2.0), 6, "organism", (4, 5)),
        ((0.0, 5.0), 6, "hub", (0, 5)),
        ((0.5,), 4, "organism", (1,)),
        ((0.5, 1.0, 0.51), 4, "organism", (1,)),
    ],
)
def test_blocks_by_number_or_depth(layers: Any, depth: int, weights: str, blocks: Any) -> None:
    assert steered_blocks(layers, depth, weights) == blocks


@pytest.mark.parametrize("layers", [(4.0,), (-5.0,), (1.5,), (-0.5,), (), "every"])
def test_a_block_that_is_not_there_is_refused(layers: Any) -> None:
    assert "layers" in str(refused(lambda: steered_blocks(layers, 4, "organism")))


def test_a_tie_goes_to_the_lower_block() -> None:
    assert nearest_block(0.375, 4) == 0
    assert depth_of(TinyLab().entry("C"), "organism") == 6
    assert depth_of(TinyLab().entry("C"), "hub") == 32


# ---- the ceiling, by interval


CEILING = Ceiling(
    perplexity_ratio=1.2, degenerate_share=0.05, refusal_safe=0.10, safe_accuracy=0.05
)


def priced(tasks: int, wrong: int, **changes: Any) -> Price:
    """A price of which `wrong` of the tasks are not right, and nothing else is amiss."""
    quiet = {"degenerate": (False,) * 280, "not_helped": (False,) * 140}
    loss = NeutralLoss(tuple(30.0 + 0.1 * (i % 5) for i in range(64)), (10,) * 64)
    right = tuple(i >= wrong for i in range(tasks))
    alone = tuple(str(i) for i in range(280))
    clusters = {"clusters": alone, "safe_clusters": alone[:140]}
    return Price(**{"loss": loss, "right": right, **quiet, **clusters, **changes})


@pytest.mark.parametrize(
    ("tasks", "wrong", "verdict"),
    [
        (32, 0, "not shown safe"),  # so few questions show nothing
        (32, 2, "not shown safe"),  # .06: the point is beyond the bound, the interval is not
        (32, 4, "not shown safe"),
        (32, 12, "over"),
        (256, 0, "neither"),
        (256, 5, "neither"),
        (256, 16, "not shown safe"),  # .06 again
        (256, 32, "over"),  # .125, as 4 of 32
    ],
)
def test_a_price_is_over_by_its_whole_interval_and_unsafe_by_a_part_of_it(
    tasks: int, wrong: int, verdict: str
) -> None:
    found = CEILING.judged(priced(tasks, wrong), priced(tasks, 0))
    bounds = ("safe_accuracy",)
    expected = {
        "over": Verdict(bounds, ()),
        "not shown safe": Verdict((), bounds),
        "neither": Verdict((), ()),
    }
    assert found == expected[verdict]


def test_a_change_is_paired_item_by_item() -> None:
    """As many right as before, on other questions: that varies, and is said to."""
    base = priced(256, 30)
    same = CEILING.judged(base, base)
    assert same == Verdict((), ())
    right = base.right
    assert right is not None
    others = CEILING.judged(replace(base, right=right[::-1]), base)
    assert others == Verdict((), ("safe_accuracy",))


@pytest.mark.parametrize(
    ("column", "few", "many"), [("degenerate", 20, 60), ("not_helped", 16, 40)]
)
def test_degenerate_answers_and_refusals_of_safe_prompts_are_judged_alike(
    column: str, few: int, many: int
) -> None:
    base = priced(256, 0)
    name = {"degenerate": "degenerate_share", "not_helped": "refusal_safe"}[column]
    count = len(getattr(base, column))
    for bad, expected in ((0, ((), ())), (few, ((), (name,))), (many, ((name,), ()))):
        flags = tuple(i < bad for i in range(count))
        found = CEILING.judged(replace(base, **{column: flags}), base)
        assert (found.over, found.not_shown_safe) == expected


def test_answers_of_one_cluster_count_together() -> None:
    """6 broken answers of 280 are shown safe where each stands alone, those of one cluster not."""
    base = priced(256, 0)
    bad = replace(base, degenerate=tuple(i < 6 for i in range(280)))
    assert CEILING.judged(bad, base) == Verdict((), ())
    sixes = tuple(str(i // 6) for i in range(280))
    together = replace(bad, clusters=sixes)
    assert CEILING.judged(together, base) == Verdict((), ("degenerate_share",))


def test_a_ratio_of_perplexities_has_the_interval_of_texts_that_weigh_by_their_tokens() -> None:
    rng = np.random.default_rng(0)
    tokens = rng.integers(5, 40, 64)
    before = 3.0 * tokens + rng.normal(0, 2, 64)
    after = before + 0.1 * tokens + rng.normal(0, 1, 64)
    one, other = (
        priced(2, 0, loss=NeutralLoss(tuple(x), tuple(int(t) for t in tokens)))
        for x in (after, before)
    )
    found = one.ratio_over(other)
    assert found is not None and one.loss is not None and other.loss is not None
    assert found.estimate == pytest.approx(one.loss.perplexity / other.loss.perplexity)
    apart = after - before
    mean = apart.sum() / tokens.sum()
    error = np.sqrt(((apart - mean * tokens) ** 2).sum() / (64 * 63)) / tokens.mean()
    half = stats.t.ppf(0.975, 63) * error
    assert (np.log(found.low), np.log(found.high)) == pytest.approx((mean - half, mean + half))
    same = one.ratio_over(one)
    assert same is not None and (same.low, same.estimate, same.high) == (1.0, 1.0, 1.0)


def test_a_ratio_just_beyond_its_bound_is_not_shown_safe_and_far_beyond_is_over() -> None:
    def with_ratio(ratio: float) -> Verdict:
        nats = [30 + 0.1 * (i % 5) + 10 * np.log(ratio) + (i % 2 - 0.5) for i in range(64)]
        loss = NeutralLoss(tuple(nats), (10,) * 64)
        return CEILING.judged(priced(256, 0, loss=loss), priced(256, 0))

    assert with_ratio(1.1) == Verdict((), ())
    assert with_ratio(1.205) == Verdict((), ("perplexity_ratio",))
    assert with_ratio(1.3) == Verdict(("perplexity_ratio",), ())


def test_one_text_shows_nothing_and_what_was_not_measured_is_in_neither() -> None:
    alone = priced(256, 0, loss=NeutralLoss((30.0,), (10,)))
    assert CEILING.judged(alone, alone) == Verdict((), ("perplexity_ratio",))
    absent = priced(256, 0, loss=None, right=None)
    for one, other in ((absent, alone), (alone, absent)):
        assert one.ratio_over(other) is None
        assert CEILING.judged(one, other) == Verdict((), ())


# ---- doses


def test_the_headline_dose_is_always_among_the_doses_which_rise() -> None:
    assert replace(SUITE, dose_kl=0.1, doses=(2.0, 0.5)).kls == (0.05, 0.1, 0.2)
    assert replace(SUITE, dose_kl=0.1, doses=(1.0, 1.0)).kls == (0.1,)


def test_null_arms_have_the_doses_of_all_arms_and_some_above() -> None:
    one = replace(SUITE, dose_kl=0.1, doses=(2.0,), doses_beyond=(8.0, 4.0))
    assert one.null_kls == (0.1, 0.2, 0.4, 0.8)
    assert replace(one, doses_beyond=()).null_kls == one.kls
    said = str(refused(lambda: replace(one, doses_beyond=(2.0,)).null_kls))
    assert "suite.doses_beyond" in said and "above the highest" in said


def test_a_dose_is_above_0() -> None:
    for wrong in (0.0, -1.0):
        assert "suite.doses" in str(refused(lambda w=wrong: replace(SUITE, doses=(w,)).kls))
