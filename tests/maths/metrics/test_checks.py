"""Are states and labels that cannot be scored refused by name?"""

from __future__ import annotations

import numpy as np
import pytest

from mahals.maths.metrics.aqi import axiom_aqi
from mahals.records import InputError
from tests.support.scored_states import sample

X, Y = sample(12, 3, 20, 0)
BAD = {
    "one prompt": (X[:1], Y[:1]),
    "one label": (X, np.ones(12, int)),
    "one unsafe prompt": (X, np.array([0] + [1] * 11)),
    "constant": (np.full((12, 3), 0.1), Y),
    "constant per label": (np.repeat(Y[:, None], 3, axis=1) * 1.0, Y),
    "nan": (np.where(np.arange(36).reshape(12, 3) == 5, np.nan, X), Y),
    "infinite": (np.where(np.arange(36).reshape(12, 3) == 5, np.inf, X), Y),
    "other labels": (X, Y + 1),
    "labels of another length": (X, Y[:-1]),
    "no prompt": (X[:0], Y[:0]),
    "all but one equal": (np.eye(12, 3) * [1, 0, 0] + 0.1, Y),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_input_is_refused_by_name(case: str) -> None:
    x, y = BAD[case]
    with pytest.raises(InputError, match="expected"):
        axiom_aqi(x, y, None)
