"""How is each kind of result drawn? Arrays and labels in, a matplotlib Figure out."""

from mahals.figures.bars import bars_with_intervals, grouped_bars, histogram
from mahals.figures.curves import Curve, curve_with_band, lines_over_layers
from mahals.figures.grids import Grid, axiom_heatmap, matrix, table
from mahals.figures.points import Point, scatter_with_labels
from mahals.figures.sheet import Labels, Measured, png

__all__ = [
    "Curve",
    "Grid",
    "Labels",
    "Measured",
    "Point",
    "axiom_heatmap",
    "bars_with_intervals",
    "curve_with_band",
    "grouped_bars",
    "histogram",
    "lines_over_layers",
    "matrix",
    "png",
    "scatter_with_labels",
    "table",
]
