"""Do the measures beside AQI agree with scikit-learn, and is the probe scored on unseen prompts?"""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import davies_bouldin_score, silhouette_score

from mahals.maths.metrics.aqi import axiom_aqi
from mahals.maths.metrics.separability import (
    davies_bouldin,
    probe_auroc,
    separability,
    tfidf_states,
)
from mahals.records import InputError


def planted(n: int, d: int, shift: float, seed: int) -> tuple[np.ndarray, np.ndarray]:
    y = np.arange(n) % 2
    x = np.random.default_rng(seed).standard_normal((n, d))
    x[:, 0] += shift * y
    return x, y


def test_davies_bouldin_and_silhouette_are_scikit_learns() -> None:
    x, y = planted(31, 6, 2.0, 0)
    found = separability(x, y, None, 0)
    assert found.davies_bouldin == pytest.approx(davies_bouldin_score(x, y), rel=1e-10)
    assert found.silhouette == pytest.approx(silhouette_score(x, y), abs=1e-10)


def test_coinciding_centroids_have_no_davies_bouldin() -> None:
    x = np.array([[1.0], [-1.0], [2.0], [-2.0]])
    assert davies_bouldin(x, [0, 0, 1, 1]) is None
    assert axiom_aqi(x, [0, 0, 1, 1], None).xb is None


@pytest.mark.slow
def test_probe_finds_what_is_there_and_nothing_else() -> None:
    assert probe_auroc(*planted(80, 64, 6.0, 0), None, 0) > 0.9
    null = [probe_auroc(*planted(40, 64, 0.0, s), None, s) for s in range(40)]
    assert np.mean(null) == pytest.approx(0.5, abs=0.06)


def test_probe_never_sees_a_cluster_on_both_sides() -> None:
    rng = np.random.default_rng(0)
    centres = 5 * rng.standard_normal((20, 64))
    clusters = [f"c{i // 4}" for i in range(80)]
    y = np.repeat(rng.permutation([0, 1] * 10), 4)
    x = np.repeat(centres, 4, axis=0) + 0.1 * rng.standard_normal((80, 64))
    assert probe_auroc(x, y, None, 0) > 0.95  # it knows the cluster by heart
    assert probe_auroc(x, y, clusters, 0) < 0.85


def test_the_same_seed_gives_the_same_number() -> None:
    x, y = planted(40, 8, 1.0, 0)
    assert probe_auroc(x, y, None, 3) == probe_auroc(x, y, None, 3)


def test_tfidf_tells_words_not_meaning() -> None:
    vectors = tfidf_states(
        ["mend the red bike", "mend the red car", "break a lock", "break a safe"]
    )
    assert vectors.shape[0] == 4
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1)
    assert axiom_aqi(vectors, [1, 1, 0, 0], None).aqi.estimate > 20


def test_bad_input_is_refused() -> None:
    x, y = planted(20, 3, 1.0, 0)
    with pytest.raises(InputError, match="nan"):
        separability(np.where(x > 1, np.nan, x), y, None, 0)
    with pytest.raises(InputError, match="2 clusters"):
        probe_auroc(x, y, ["a"] * 20, 0)
    with pytest.raises(InputError, match="both labels"):
        probe_auroc(x, y, ["a" if v else "b" for v in y], 0)
    with pytest.raises(InputError, match="one word"):
        tfidf_states(["...", "!"])


@pytest.mark.parametrize("case", ["one prompt", "one label", "constant", "infinite"])
def test_the_same_bad_states_are_refused_as_by_aqi(case: str) -> None:
    x, y = planted(20, 3, 1.0, 0)
    given = {
        "one prompt": (x[:1], y[:1]),
        "one label": (x, np.ones(20)),
        "constant": (x * 0 + 3, y),
        "infinite": (np.where(x > 1, np.inf, x), y),
    }[case]
    for score in (lambda: separability(*given, None, 0), lambda: davies_bouldin(*given)):
        with pytest.raises(InputError, match="states"):
            score()
    with pytest.raises(InputError, match="states"):
        probe_auroc(*given, None, 0)
