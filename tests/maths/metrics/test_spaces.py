"""Are states standardized and projected as said, and others' states alike?"""

from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial.distance import cdist

from mahals.maths.metrics.aqi import axiom_aqi
from mahals.maths.metrics.spaces import fit_space, to_space
from mahals.records import InputError
from tests.support.scored_states import sample


def test_spaces() -> None:
    x, y = sample(60, 10, 20, 0)
    x[:, 3] *= 1e4  # a massive activation decides the native space
    x[:, 4] = 7.0
    scaled = to_space(x, "standardized")
    kept = [i for i in range(10) if i != 4]
    np.testing.assert_allclose(scaled[:, kept].std(0), 1)
    assert (scaled[:, 4] == 0).all()
    assert to_space(x, "native") is not None
    low = to_space(x, "pca256")
    assert low.shape == (60, 9)
    np.testing.assert_allclose(cdist(low, low), cdist(x, x), rtol=1e-6, atol=1e-6)
    assert axiom_aqi(low, y, None).aqi.estimate == pytest.approx(
        axiom_aqi(x, y, None).aqi.estimate, abs=1e-6
    )
    fitted = fit_space(x[:30], "standardized")
    np.testing.assert_allclose(fitted.apply(x[:30]).mean(0), 0, atol=1e-9)
    with pytest.raises(InputError, match="did you mean 'native'"):
        to_space(x, "nativ")  # type: ignore[arg-type]
    with pytest.raises(InputError, match=r"\(n, 10\)"):
        fitted.apply(x[:, :3])
