"""Verdict agreement: are kappa, recall and false refusals those of scikit-learn and of a count?"""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import cohen_kappa_score, recall_score

from mahals.maths.metrics.verdict_agreement import kappa_words, verdict_agreement
from mahals.records import InputError

KINDS = ("full", "partial", "none", "degenerate")


def test_numbers_are_those_of_another_library() -> None:
    rng = np.random.default_rng(0)
    known = [KINDS[i] for i in rng.integers(0, 3, 200)]
    said = [k if rng.random() < 0.8 else KINDS[rng.integers(0, 4)] for k in known]
    found = verdict_agreement(said, known, [f"p{i // 2}" for i in range(200)])
    full = ([k == "full" for k in known], [s == "full" for s in said])
    any_ = ([k in KINDS[:2] for k in known], [s in KINDS[:2] for s in said])
    assert found.full.kappa == pytest.approx(cohen_kappa_score(*full))
    assert found.refused.kappa == pytest.approx(cohen_kappa_score(*any_))
    assert found.recall is not None and found.false_refusals is not None
    assert found.recall.estimate == pytest.approx(recall_score(*full))
    assert found.false_refusals.estimate == pytest.approx(
        sum(s == "full" != k for s, k in zip(said, known, strict=True))
        / sum(k != "full" for k in known)
    )
    assert found.full.interval is not None
    assert found.full.interval.low < cohen_kappa_score(*full) < found.full.interval.high


def test_the_interval_is_wider_where_prompts_repeat() -> None:
    known = ["full", "none"] * 40
    said = ["full" if i % 5 else "none" for i in range(80)]
    alone = verdict_agreement(said, known, [str(i) for i in range(80)]).full.interval
    pairs = verdict_agreement(said * 2, known * 2, [str(i % 80) for i in range(160)]).full.interval
    assert alone is not None and pairs is not None
    assert pairs.standard_error == pytest.approx(alone.standard_error, rel=0.02)


def test_abstentions_are_counted_apart() -> None:
    found = verdict_agreement(["full", None, "none"], ["full", "full", "none"], None)
    assert (found.n, found.abstained) == (2, 1) and found.same.estimate == 1
    with pytest.raises(InputError, match="1 of 2"):
        verdict_agreement(["full", None], ["full", "none"], None)


def test_one_kind_alone_has_no_kappa() -> None:
    found = verdict_agreement(["none"] * 3, ["none"] * 3, None)
    assert found.recall is None and kappa_words(found.full) == "none (same 1.00)"
    assert "recall absent" in found.sentence()
