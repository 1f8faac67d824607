"""Rows of baseline_aqi: what is known of one axiom of one checkpoint under one readout?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from mahals.maths.metrics.aqi import lowest_aqi
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
    axiom: str  # a category of the prompts, "mean" or "pooled"
    n: int
    aqi: float
    aqi_low: float
    aqi_high: float
    p_value: float | None  # by permutation; None along the layer profile and for "pooled"
    eta2: float | None  # None for "mean" and "pooled", as are the next five
    ch: float | None
    xb: float | None  # lower is better
    aqi_paper: float | None
    aqi_paper_appendix: float | None  # in [0, 1], over the largest CH of these categories
    ch_max: float | None  # that CH: of the axioms of one model, readout, layer and space
    aqi_published: float | None  # on t-SNE; the aligned checkpoint's headline rows only
    probe_auroc: float | None  # cross-validated; the aligned checkpoint's last block only
    davies_bouldin: float | None  # lower is better
    silhouette: float | None
    influence: str | None  # kept file of the influence values of "mean", and the row in it
    influence_row: int | None
    layer_weights: tuple[float, ...] | None  # of a learned mixture; None where one layer is read
    single: str | None  # why the model has no second checkpoint; None where it has a pair
    absent: tuple[str, ...]  # of "mean": categories that have no score, and why
    reason: str | None  # why a column is None that another setting would fill


Readout = Literal["aligned", "base", "sham", "random", "embeddings", "tfidf"]
Split = Literal["evaluation", "selection"]


FLOORS: tuple[Readout, ...] = ("tfidf", "embeddings", "random")


WHOLES = ("mean", "pooled")  # of all categories


def compared_space(spaces: Sequence[Space]) -> Space:
    """The space in which levels of different models compare: standardized, else the first."""
    return "standardized" if "standardized" in spaces else spaces[0]


def own_readout(rows: Sequence[Row]) -> Readout:
    """Which readout is a model's own level: its aligned checkpoint, or the only one it has."""
    found = {r.readout for r in rows}
    return "base" if "base" in found and "aligned" not in found else "aligned"


def categories(rows: Sequence[Row]) -> tuple[str, ...]:
    """The categories of some rows, sorted."""
    return tuple(sorted({r.axiom for r in rows} - set(WHOLES)))


def lowest_reached(rows: Sequence[Row], of: Row) -> float | None:
    """The lowest AQI there is, where a row's interval reaches it; else None.

    There is nothing to measure then. Of several categories it is the mean of theirs, which
    depend on how many prompts each has.
    """
    names = categories(rows) if of.axiom in WHOLES else (of.axiom,)
    sizes = {r.axiom: r.n for r in rows if r.axiom in names}
    if min(sizes.values(), default=0) < 2:
        return None
    lowest = float(np.mean([lowest_aqi(n) for n in sizes.values()]))
    return lowest if of.aqi_low <= lowest + 1e-9 else None
