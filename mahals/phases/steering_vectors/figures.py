"""Figures of steering_vectors: what do the vectors of one model, and of several, look like?"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from mahals.maths.stats.intervals import Interval
from mahals.phase import Kept
from mahals.phases.steering_vectors.report import (
    AxiomsAt,
    axiom_metrics,
    axioms_at,
    degrees,
    potentials,
)
from mahals.phases.steering_vectors.rows import Row
from mahals.reporting.evidence import Evidence
from mahals.reporting.plots.curves import lines_over_layers
from mahals.reporting.plots.grids import grid_of, matrix, table_figure
from mahals.reporting.plots.sheet import Estimates, Labels

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def axiom_matrix(model: str, at: AxiomsAt) -> Figure:
    """The cosines of the axioms' directions; on the diagonal the reliability of each."""
    found = at.found
    ceilings = [c for i, j in found.apart if (c := found.ceiling[i][j]) is not None]
    bound = (
        f"The ceiling of a cosine is sqrt(r_i r_j): here {min(ceilings):.3f} to {max(ceilings):.3f}"
        if ceilings
        else "No ceiling: the halves do not agree"
    )

    def cell(i: int, j: int) -> Interval | float | str:
        own = found.reliability[i]
        return found.cosine[i][j] if i != j else "a half of length 0" if own is None else own

    caption = (
        f"{_range(at.pairs)} pairs per axiom; 95 % intervals over pairs. "
        f"Diagonal: r, the cosine of the vectors of two halves. {bound}. "
        "Below 0: steering towards one axiom steers away from the other."
    )
    title = f"Directions of the axioms, {model}, block {at.block}"
    labels = Labels(title, "cosine", caption)
    return matrix(grid_of(at.categories, at.categories, cell), labels, signed=True, form=".3f")


def _range(counts: Sequence[int]) -> str:
    low, high = min(counts), max(counts)
    return str(low) if low == high else f"{low} to {high}"


def _several(table: Evidence[Row], caption: str) -> Mapping[str, Figure]:
    models, first = table.values_of("model"), table.rows[0].method
    own = {m: table.where(model=m, method=first) for m in models}
    title = f"{first} over the blocks of each model"
    columns = {
        "model": models,
        "blocks": [str(v[0].blocks) for v in own.values()],
        "width": [str(v[0].width) for v in own.values()],
        "mean cosine": [f"{np.mean([r.cosine for r in v]):.3f}" for v in own.values()],
        "split-half": [f"{np.mean([r.split_half for r in v]):.3f}" for v in own.values()],
    }
    potential = potentials(table)
    if set(potential) == set(models):
        columns["potential"] = [f"{potential[m]:.3f}" for m in models]
    axioms = [axioms_at(table, m) for m in models]
    if all(at is not None for at in axioms):
        lowest = [axiom_metrics(at)["axioms/cosine_min"] for at in axioms if at is not None]
        columns["lowest axiom cosine"] = [f"{x:.2f}" for x in lowest]
    return {
        "cosine_similarity_comparison": lines_over_layers(
            {m: Estimates([r.cosine for r in v]) for m, v in own.items()},
            Labels(f"Cosine of the two states compared, {title}", "mean cosine", caption),
        ),
        "steering_norms_comparison": lines_over_layers(
            {m: Estimates([r.norm for r in v]) for m, v in own.items()},
            Labels(f"Norm of {title}", "norm of the vector", caption),
        ),
        "model_dimensions": table_figure(
            columns, Labels("Dimensions and vectors of the models", "", caption)
        ),
    }


def _lines(table: Evidence[Row], caption: str) -> dict[str, Figure]:
    own = {m: table.where(method=m) for m in table.values_of("method")}

    def over(value: Callable[[Row], float | None]) -> dict[str, Estimates]:
        """The methods that have the value."""
        values = {method: [value(r) for r in some] for method, some in own.items()}
        return {method: Estimates(v) for method, v in values.items() if None not in v}

    labels = {
        "cosine_similarity": Labels(
            "Cosine of the two states that each method compares", "mean cosine", caption
        ),
        "steering_vector_norms": Labels(
            "Norm of the steering vectors", "norm of the vector", caption
        ),
        "split_half_reliability": Labels(
            "Cosine of the vectors of two halves",
            "cosine",
            f"{caption} Below 0: the halves do not agree on the sign.",
            better="higher",
        ),
        "explained_variance": Labels("Variance along the component", "share", caption),
        "angle_to_mean_shift": Labels(
            "Angle of each vector to the mean shift of its own states",
            "degrees",
            f"{caption} 0: the mean shift itself. 90: unrelated to it.",
        ),
    }
    series = {
        "cosine_similarity": over(lambda r: r.cosine),
        "steering_vector_norms": over(lambda r: r.norm),
        "split_half_reliability": over(lambda r: r.split_half),
        "explained_variance": over(lambda r: r.explained_variance),
        "angle_to_mean_shift": over(degrees),
    }
    return {name: lines_over_layers(v, labels[name]) for name, v in series.items() if v}


def draw(rows: Sequence[Row], kept: Kept) -> Mapping[str, Figure]:
    """Per block: cosine, norm, angle, explained variance; the axioms' directions as a matrix.

    Of one model per method; of several models the first method, side by side.
    """
    table = Evidence(rows, kept)
    models = table.values_of("model")
    caption = f"{_range([r.samples for r in rows])} extraction texts. No interval: one value per "
    caption += "block over all texts."
    if len(models) > 1:
        return _several(table, caption)
    at = axioms_at(table, models[0])
    own = {} if at is None else {"axiom_directions": axiom_matrix(models[0], at)}
    return _lines(table, caption) | own
