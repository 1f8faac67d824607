"""Are cosines scikit-learn's, and states that are no pairs refused?"""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics.pairwise import cosine_similarity

from mahals.maths.vectors.estimators import contrast, mean_difference, pca, probe
from mahals.maths.vectors.pairs import cosines
from mahals.records import InputError
from tests.support.paired_states import D, L, N, states


def test_states_that_are_no_pairs_are_refused() -> None:
    a, b = states(6)
    with pytest.raises(InputError, match="n >= 2"):
        mean_difference(a[:1], b[:1])
    with pytest.raises(InputError, match="one shape"):
        mean_difference(a, b[:, :2])
    with pytest.raises(InputError, match="nan"):
        mean_difference(np.where(a > 2, np.nan, a), b)
    still = np.ones((N, L, D))
    for method in (mean_difference, contrast, pca, probe):
        with pytest.raises(InputError, match="the same for all 24 texts at block 0"):
            method(a, still)
        with pytest.raises(InputError, match="n >= "):
            method(a[:1], b[:1])
        with pytest.raises(InputError, match="nan"):
            method(a, np.where(b > 2, np.inf, b))


def test_cosines_are_scikit_learns_and_need_a_length() -> None:
    a, b = states(7)
    by_row = [[cosine_similarity(a[i, [k]], b[i, [k]])[0, 0] for k in range(L)] for i in range(N)]
    np.testing.assert_allclose(cosines(a, b), by_row)
    with pytest.raises(InputError, match="length 0"):
        cosines(a, np.zeros(D))
