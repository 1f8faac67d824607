"""Separability: do other measures than AQI tell safe from unsafe, and does plain text already?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score, silhouette_score
from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold

from mahals.maths.metrics.checks import checked_states
from mahals.maths.stats.intervals import Floats
from mahals.records import InputError

FOLDS = 5


@dataclass(frozen=True)
class Separability:
    """Three views of how well labels separate in states."""

    probe_auroc: float  # held-out, linear; .5 is chance, 1 best
    davies_bouldin: float | None  # lower is better; None where the centroids coincide
    silhouette: float  # [-1, 1], higher is better


def separability(
    states: npt.ArrayLike, labels: npt.ArrayLike, clusters: Sequence[str] | None, seed: int
) -> Separability:
    """Probe AUROC, Davies-Bouldin and silhouette of states (n, d) with labels (n,).

    Raises InputError as `axiom_aqi` does, and where the probe cannot be cross-validated.
    """
    centred = checked_states(states, labels)
    y = np.asarray(labels)
    return Separability(
        probe_auroc=probe_auroc(centred, y, clusters, seed),
        davies_bouldin=davies_bouldin(centred, y),
        silhouette=float(silhouette_score(centred, y)),
    )


def davies_bouldin(states: npt.ArrayLike, labels: npt.ArrayLike) -> float | None:
    """(mean distance to the own centroid, summed over both labels) / distance of the centroids.

    Davies and Bouldin 1979 for two clusters; lower is better; None where the centroids coincide.
    """
    x = checked_states(states, labels)
    safe = np.asarray(labels) == 1
    high, low = x[safe].mean(axis=0), x[~safe].mean(axis=0)
    spread = np.linalg.norm(x[safe] - high, axis=1).mean()
    spread += np.linalg.norm(x[~safe] - low, axis=1).mean()
    apart = float(np.linalg.norm(high - low))
    return float(spread / apart) if apart > 0 else None


def probe_auroc(
    states: npt.ArrayLike, labels: npt.ArrayLike, clusters: Sequence[str] | None, seed: int
) -> float:
    """Share of (safe, unsafe) pairs of one held-out fold that a linear probe orders rightly.

    Logistic regression on states standardized by the training folds; 5 folds (fewer where a label
    has fewer prompts), no cluster on both sides. .5 is chance, 1 best. Folds weigh by their pairs.
    Raises InputError where no fold holds both labels.
    """
    x, y = checked_states(states, labels), np.asarray(labels).astype(np.int64)
    right, pairs = 0.0, 0
    for train, held in _folds(y, clusters, seed):
        both = int((y[held] == 1).sum()) * int((y[held] == 0).sum())
        if both == 0 or len(set(y[train])) < 2:
            continue
        mean, scale = x[train].mean(axis=0), x[train].std(axis=0)
        z = (x - mean) / np.where(scale > 0, scale, 1.0)
        probe = LogisticRegression(max_iter=1000).fit(z[train], y[train])
        right += both * float(roc_auc_score(y[held], probe.decision_function(z[held])))
        pairs += both
    if pairs == 0:
        raise InputError(
            "linear probe",
            expected="a held-out fold with both labels",
            got="none",
            cure="measure prompts of more clusters",
        )
    return right / pairs


def _folds(
    y: npt.NDArray[np.int64], clusters: Sequence[str] | None, seed: int
) -> list[tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]]:
    least = int(min((y == 1).sum(), (y == 0).sum()))
    count = min(FOLDS, least)
    if clusters is None:
        free = StratifiedKFold(count, shuffle=True, random_state=seed)
        return list(free.split(y[:, None], y))
    names = np.asarray(clusters, dtype=np.str_)
    groups = len(set(names.tolist()))
    if groups < 2:
        raise InputError(
            "linear probe",
            expected="prompts of at least 2 clusters",
            got=f"{groups}",
            cure="measure prompts of more clusters",
        )
    whole = StratifiedGroupKFold(min(count, groups), shuffle=True, random_state=seed)
    return list(whole.split(y[:, None], y, names))


def tfidf_states(texts: Sequence[str]) -> Floats:
    """TF-IDF vectors (n, vocabulary) of texts, words and word pairs: the floor of any AQI.

    Raises InputError where no text has a word.
    """
    try:
        vectors = TfidfVectorizer(ngram_range=(1, 2), token_pattern=r"\w+").fit_transform(texts)
    except ValueError as error:
        raise InputError(
            "texts", expected="at least one word", got=f"{len(texts)} texts", cure="check the data"
        ) from error
    return np.asarray(vectors.toarray(), dtype=np.float64)
