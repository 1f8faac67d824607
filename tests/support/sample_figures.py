"""What does a full figure of each kind hold: eight models, seven long axiom names?"""

from __future__ import annotations

import math
from dataclasses import replace

from matplotlib.figure import Figure

from mahals.data.texts import AXIOMS
from mahals.reporting.plots.bars import bars_with_intervals, grouped_bars
from mahals.reporting.plots.curves import Curve, curve_with_band, lines_over_layers
from mahals.reporting.plots.grids import Grid, axiom_heatmap, matrix, table_figure
from mahals.reporting.plots.sheet import Estimates, Labels

MODELS = (
    "Mistral_7B", "Llama3_8B", "Qwen2_7B", "Gemma2_9B",
    "Falcon_7B", "Zephyr_7B", "Phi3_mini", "Llama31_Tulu",
)  # fmt: skip
DEPTHS = (4, 6, 8, 5, 6, 8, 10, 12)
LAMBDAS = (0.0, 0.25, 0.5, 0.75, 1.0)
CAPTION = (
    "n = 560 prompts per model, 40 per axiom and label; 95 % delete-one-cluster jackknife "
    "intervals, t at clusters - 1 degrees of freedom."
)
WORDS = Labels("A title of the usual length", "AQI (points)", CAPTION, "higher", "strength (x)")


def around(values: list[float | None], width: float) -> Estimates:
    lows = [None if v is None else v - width for v in values]
    highs = [None if v is None else v + width for v in values]
    return Estimates(values, lows, highs, ["no such cell"] * len(values))


def curve(slope: float) -> Curve:
    rising = [10 + slope * x for x in LAMBDAS]
    return Curve(
        LAMBDAS,
        {"add": around([*rising], 2.0), "add, preserve norm": around([*rising[:-1], None], 1.0)},
        around([10 + x for x in LAMBDAS], 1.5),
        {"sign flipped": Estimates([10 - slope * x for x in LAMBDAS])},
        {"unsteered": 10.0, "aligned checkpoint": 12.0},
    )


def far(number: int) -> Curve:
    """As `curve`, with one reference far above the arms, one far below and one among them."""
    away = {"aligned": 160.0 - 16 * number, "prompt": -90.0, "unsteered": 10.0}
    return replace(curve(1.0), references=away)


def square(size: int, scale: float) -> Grid:
    values = [[scale * math.sin(3 * i + 7 * j) for j in range(size)] for i in range(size)]
    cells: list[list[float | None]] = [[*row] for row in values]
    cells[1][4] = None
    bounds = [[[None if v is None else v + d for v in row] for row in cells] for d in (-3.0, 3.0)]
    reasons = [["identity needs equal widths"] * size for _ in range(size)]
    ps = [[None if v is None else math.erfc(abs(v) / 3.0 * 1.386) for v in row] for row in cells]
    return Grid(MODELS[:size], MODELS[:size], cells, *bounds, reasons, ps)


ABSENT = Grid(
    MODELS[:2], MODELS[:2], [[None] * 2] * 2, reasons=[["the native gain may be 0"] * 2] * 2
)
BARS = around([20.0, 31.5, None, -4.0, 8.0, 15.0, 2.0, 27.0], 3.0)
FLOORS = {
    "TF-IDF": [4.0, 5.0, 6.0, 1.0, None, 2.0, 3.0, 4.5],
    "embeddings": [2.0, 5.5, 3.0, 2.0, 1.0, 2.5, 3.5, 4.0],
    "random weights": [0.0, 0.5, -0.3, 0.2, 0.1, 0.4, 0.9, 0.3],
    "base": [1.0, 2.5, 3.3, -1.2, 2.1, 6.4, 1.9, 4.3],
    "sham": [1.5, 2.0, 3.0, -1.0, 2.0, 6.0, 1.0, 4.0],
    "untrained": [0.5] * 8,
}
HEAT: list[list[float | None]] = [
    [60 * abs(math.sin(1 + 5 * i + 3 * j)) for j in range(7)] for i in range(8)
]
HEAT[2][3] = None


def every_figure() -> dict[str, Figure]:
    series = {
        m: around([3.0 * (k + 1) / depth * (i + 2) for k in range(depth)], 1.0)
        for i, (m, depth) in enumerate(zip(MODELS, DEPTHS, strict=True))
    }
    facts = {"model": MODELS, "blocks": [str(d) for d in DEPTHS], "width": ["128"] * 8}
    return {
        "bars": bars_with_intervals(MODELS, BARS, WORDS, FLOORS, "Llama3_8B"),
        "grouped": grouped_bars(MODELS, {"identity": BARS, "pad": BARS, "ridge": BARS}, WORDS),
        "heatmap": axiom_heatmap(Grid(MODELS, AXIOMS, HEAT), WORDS),
        "layers": lines_over_layers(series, WORDS),
        "models": curve_with_band({m: curve(2.0 + i) for i, m in enumerate(MODELS)}, WORDS),
        "far": curve_with_band({m: far(i) for i, m in enumerate(MODELS)}, WORDS),
        "one": curve_with_band({"Mistral_7B": curve(4.0)}, WORDS),
        "axioms": curve_with_band({a: curve(1.0) for a in AXIOMS}, WORDS, columns=2),
        "matrix": matrix(square(8, 19.0), WORDS, signed=True),
        "nothing": matrix(ABSENT, WORDS, signed=True),
        "efficiency": matrix(square(6, 600.0), WORDS, signed=True),
        "table": table_figure(facts, WORDS),
    }


NAMES = (
    "bars", "grouped", "heatmap", "layers", "models", "far", "one", "axioms", "matrix",
    "nothing", "efficiency", "table",
)  # fmt: skip
