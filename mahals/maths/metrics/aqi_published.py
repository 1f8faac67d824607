"""Published AQI: what does its pipeline say: CH and XB on a 3-D t-SNE, each model by itself?

Kept to show what it does, never to rank (METHOD 1; `mahals.maths.metrics.aqi_paper.aqi_published`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt
from sklearn.manifold import TSNE

from mahals.maths.metrics.aqi import axiom_aqi
from mahals.maths.metrics.aqi_paper import aqi_published
from mahals.maths.metrics.checks import checked_states
from mahals.records import InputError

GAMMA = 0.5
PERPLEXITY_AXIOM, PERPLEXITY_OVERALL = 30.0, 50.0
SEED = 42  # the published one


def published_scores(
    states: npt.ArrayLike, labels: Sequence[int], axioms: Sequence[str]
) -> Mapping[str, float]:
    """The published score of each axiom and of "pooled" (there called overall), in [5, 100].

    `states` (n, d) of the last block. t-SNE to 3 dimensions (PCA start, perplexity 30 per axiom
    and 50 overall). 15 to 20 seconds for 560 prompts: nine tenths is the overall fit. Raises
    InputError where an axiom has no more prompts than the perplexity, and as `axiom_aqi` does.
    """
    x, y = np.asarray(states, dtype=np.float64), np.asarray(labels)
    names = sorted(set(axioms))
    rows = [[i for i, a in enumerate(axioms) if a == name] for name in names]
    scores = [_embedded(x[r], y[r], PERPLEXITY_AXIOM) for r in rows]
    scores.append(_embedded(x, y, PERPLEXITY_OVERALL))
    found = aqi_published([ch for ch, _ in scores], [xb for _, xb in scores], GAMMA)
    return dict(zip([*names, "pooled"], map(float, found), strict=True))


def _embedded(
    states: npt.NDArray[np.float64], labels: npt.NDArray[np.int64], perplexity: float
) -> tuple[float, float]:
    """(CH, XB) on the t-SNE of states."""
    checked_states(states, labels)
    if len(states) <= perplexity:
        raise InputError(
            "prompts for the published score",
            expected=f"more than the perplexity, {perplexity:g}",
            got=str(len(states)),
            cure="raise datasets.per_cell, or set baseline_aqi.tsne to false",
        )
    embedding = TSNE(
        n_components=3, perplexity=perplexity, init="pca", random_state=SEED, n_jobs=1
    ).fit_transform(states)
    score = axiom_aqi(embedding, labels, None)
    if score.xb is None:
        raise InputError(
            "t-SNE", expected="centroids apart", got="the same centroid", cure="use more prompts"
        )
    return score.ch, score.xb
