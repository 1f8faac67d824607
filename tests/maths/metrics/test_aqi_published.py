"""Is the published pipeline's score t-SNE, then CH and XB, scaled by the model's own rows?"""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.manifold import TSNE
from sklearn.metrics import calinski_harabasz_score

from mahals.maths.metrics.aqi_paper import aqi_published
from mahals.maths.metrics.aqi_published import published_scores
from mahals.records import InputError

RNG = np.random.default_rng(0)
Y = np.tile([0, 1], 52)
AXIOMS = ["a"] * 52 + ["b"] * 52
X = RNG.standard_normal((104, 6)) + 3.0 * np.outer(Y, np.eye(6)[0])


@pytest.mark.slow
def test_scores_are_those_of_the_pieces_put_together_by_hand() -> None:
    found = published_scores(X, list(Y), AXIOMS)
    chi, xb = [], []
    for rows, perplexity in ((slice(0, 52), 30), (slice(52, 104), 30), (slice(0, 104), 50)):
        tsne = TSNE(n_components=3, perplexity=perplexity, init="pca", random_state=42)
        low = tsne.fit_transform(X[rows])
        n = len(low)
        chi.append(calinski_harabasz_score(low, Y[rows]))
        xb.append((n - 2) / 4 / chi[-1])  # CH XB = p (1 - p) (n - 2)
    assert list(found) == ["a", "b", "pooled"]
    np.testing.assert_allclose(list(found.values()), aqi_published(chi, xb, 0.5), atol=1e-3)


def test_too_few_prompts_for_the_perplexity_are_refused() -> None:
    rows = [*range(30), *range(52, 82)]
    with pytest.raises(InputError, match="more than the perplexity, 30"):
        published_scores(X[rows], list(Y[rows]), [AXIOMS[i] for i in rows])


BAD = {
    "one prompt": (X[:1], Y[:1], AXIOMS[:1]),
    "one label": (X, np.ones(104, int), AXIOMS),
    "constant": (np.full((104, 6), 0.5), Y, AXIOMS),
    "nan": (np.where(X > 2, np.nan, X), Y, AXIOMS),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_input_is_refused_before_any_fit(case: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mahals.maths.metrics.aqi_published.TSNE", None)
    states, labels, axioms = BAD[case]
    with pytest.raises(InputError, match="states"):
        published_scores(states, list(labels), axioms)
