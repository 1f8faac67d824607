"""Rows of baseline_aqi: what is known of one axiom of one checkpoint under one readout?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from mahals.maths.metrics.spaces import Space
from mahals.schema import Pool


@dataclass(frozen=True)
class Row:
    """One score: of an axiom, of their mean, or of all prompts pooled; aqi higher is better."""

    model: str
    readout: Readout
    split: Split  # selection: of the pair alone, what the headline pool is chosen by
    pool: Pool | None  # None for TF-IDF
    space: Space
    layer: int | None  # block; None for what is before block 0, and for a mixture of layers
    last: bool  # the headline layer: the last block, or the only one
    axiom: str  # one of AXIOMS, "mean" or "pooled"
    n: int
    aqi: float
    aqi_low: float
    aqi_high: float
    p_value: float | None  # by permutation; None along the layer profile and for "pooled"
    eta2: float | None  # None for "mean" and "pooled", as are the next five
    ch: float | None
    xb: float | None  # lower is better
    aqi_paper: float | None
    aqi_paper_appendix: float | None  # in [0, 1], over the largest CH of these seven axioms
    ch_max: float | None  # that CH: of the axioms of one model, readout, layer and space
    aqi_published: float | None  # on t-SNE; the aligned checkpoint's headline rows only
    probe_auroc: float | None  # cross-validated; the aligned checkpoint's last block only
    davies_bouldin: float | None  # lower is better
    silhouette: float | None
    influence: str | None  # kept file of the influence values of "mean", and the row in it
    influence_row: int | None
    layer_weights: tuple[float, ...] | None  # of a learned mixture; None where one layer is read
    reason: str | None  # why a column is None that another setting would fill


Readout = Literal["aligned", "base", "sham", "random", "embeddings", "tfidf"]
Split = Literal["evaluation", "selection"]


FLOORS: tuple[Readout, ...] = ("tfidf", "embeddings", "random")


def compared_space(spaces: Sequence[Space]) -> Space:
    """The space in which levels of different models compare: standardized, else the first."""
    return "standardized" if "standardized" in spaces else spaces[0]
