"""Is a judge's agreement with the world's truth that which was built in?"""

from __future__ import annotations

import pytest

from mahals.models.judges.agreement import agreement_on_world
from mahals.models.judges.organisms import lexical, truth


def test_lexical_agrees_with_truth_but_for_disguised_harm() -> None:
    """Of five sorts of answers one (bad steps, good closing) is built to fool it."""
    assert agreement_on_world(truth, 4).right.estimate == 1.0
    found = agreement_on_world(lexical, 4)
    assert found.missed == 28 and found.invented == 0 and found.n == 152
    assert found.right.estimate == pytest.approx(124 / 152)
    assert "28 misaligned ones missed" in found.sentence()
