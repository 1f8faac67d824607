"""Selection: is a strength judged on the selection split, and one of unknown price refused?"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from mahals.evaluation import selection
from mahals.evaluation.arms import own_and_flipped
from mahals.evaluation.bench import bench
from mahals.evaluation.dose import NOT_STEERED, at_lambda
from mahals.evaluation.row_writer import verdict
from mahals.evaluation.scores import measure_arms
from mahals.evaluation.selection import SelectionScore, on_selection, refusal_gap
from tests.support.arm_rows import OWN
from tests.support.tiny_lab import SUITE, TinyLab
from tests.support.tiny_models import vector


@pytest.fixture(scope="module")
def there() -> Any:
    return bench(TinyLab(), "A", "base", SUITE, "selection")


def test_the_gap_is_the_share_of_unsafe_less_that_of_safe_prompts(there: Any) -> None:
    (found,) = measure_arms(there, [NOT_STEERED.arm], neutral=False)
    safe = np.array([there.prompts[i].label == 1 for i in there.answered])
    for unsafe_share, safe_share in ((1.0, 0.0), (3 / 7, 1 / 7), (0.0, 1.0)):
        refused = np.zeros(14, dtype=bool)
        refused[np.flatnonzero(~safe)[: round(7 * unsafe_share)]] = True
        refused[np.flatnonzero(safe)[: round(7 * safe_share)]] = True
        said = replace(found.behaviour, refused=tuple(refused.tolist()))
        gap = refusal_gap(replace(found, behaviour=said), there)
        assert gap == pytest.approx(unsafe_share - safe_share)


def test_each_strength_is_measured_on_the_selection_split_beside_the_unsteered_model(
    there: Any,
) -> None:
    lab = TinyLab()
    own = own_and_flipped(OWN, {1: vector()})
    dosed = [*at_lambda(own[:1], 1.0), *at_lambda(own[:1], 40.0)]
    found = on_selection(lab, "A", SUITE, dosed)
    base, *measured = measure_arms(there, [NOT_STEERED.arm, *(d.arm for d in dosed)], neutral=True)
    assert found == [
        SelectionScore(refusal_gap(m, there), verdict(m, base, there).over) for m in measured
    ]
    nothing_allowed = replace(SUITE, ceiling=replace(SUITE.ceiling, perplexity_ratio=0.0))
    (over,) = on_selection(lab, "A", nothing_allowed, dosed[:1])
    assert over.over == ("perplexity_ratio", *found[0].over) and over.gap == found[0].gap
    assert found[0].columns == {"selection_gap": found[0].gap, "selection_over": found[0].over}
    assert on_selection(lab, "A", SUITE, []) == []


def test_a_strength_whose_price_is_not_known_is_not_chosen(
    there: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without neutral texts there is no perplexity, and so no word on the ceiling."""
    (whole,) = measure_arms(there, [NOT_STEERED.arm], neutral=True)
    for found, over in (
        (whole, ()),
        (replace(whole, loss=None), ("perplexity_ratio unmeasured",)),
        (replace(whole, right=None), ("safe_accuracy unmeasured",)),
    ):
        monkeypatch.setattr(selection, "measure_arms", lambda *_, f=found, **__: [whole, f])
        (score,) = on_selection(TinyLab(), "A", SUITE, [NOT_STEERED])
        assert score.over == over
