"""Is the detector's agreement with the truth as by hand?"""

import numpy as np
import pytest

from mahals.maths.metrics.detector_agreement import detector_agreement
from mahals.records import InputError


@pytest.mark.parametrize(
    ("said", "truth", "kappa"),
    [("1100", "1100", 1.0), ("1100", "1010", 0.0), ("1111", "1110", None), ("1000", "1100", 0.5)],
)
def test_the_detectors_agreement_by_hand(said, truth, kappa):
    """0.5: observed 3/4; by chance 1/4 1/2 + 3/4 1/2 = 1/2."""
    found = detector_agreement([c == "1" for c in said], [c == "1" for c in truth])
    pairs = list(zip(said, truth, strict=True))
    assert found.right.estimate == np.mean([a == b for a, b in pairs])
    assert found.kappa == (None if kappa is None else pytest.approx(kappa))
    assert (found.missed, found.invented) == (pairs.count(("0", "1")), pairs.count(("1", "0")))
    assert f"n={len(said)}" in found.sentence()
    with pytest.raises(InputError, match="refusal detector"):
        detector_agreement([True], [True])
