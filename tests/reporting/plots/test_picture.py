"""Picture: is every figure the same bytes each time, and does it say what it is of?"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from hashlib import sha256
from typing import Any

import pytest
from matplotlib.figure import Figure

from mahals.reporting.plots.curves import curve_with_band
from mahals.reporting.plots.picture import FOOTER, FORMS, saved, signed
from tests.support.places import ROOT
from tests.support.sample_figures import WORDS, curve, every_figure

LINE = "organism weights, training seed 0 (a declared positive control); suite core-1 3f9a2c1d"
HEADS = {"png": b"\x89PNG\r\n\x1a\n", "svg": b"<?xml", "pdf": b"%PDF-1."}


def one() -> Figure:
    return signed(curve_with_band({"a": curve(1)}, WORDS), LINE)


def test_a_figure_is_saved_in_three_forms_without_a_date() -> None:
    made = saved(one())
    assert {form: body[: len(HEADS[form])] for form, body in made.items()} == HEADS
    assert set(FORMS) == set(HEADS)
    for body in made.values():
        assert not re.search(rb"CreationDate|dc:date|ModDate|Matplotlib v", body)


def test_the_same_figure_gives_the_same_bytes_in_threads_and_other_processes_too() -> None:
    with ThreadPoolExecutor(2) as pool:
        first, second = pool.map(lambda _: saved(one()), range(2))
    assert first == second == saved(one())
    code = (
        "from hashlib import sha256; from tests.reporting.plots.test_picture import one, saved;"
        "print(*(sha256(body).hexdigest() for body in saved(one()).values()))"
    )
    environment = {**os.environ, "PYTHONHASHSEED": "77", "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == [sha256(body).hexdigest() for body in first.values()]


def boxes(figure: Figure) -> dict[str, Any]:
    """What stands in a figure, in inches from its upper left corner, after it was laid out."""
    figure.draw_without_rendering()
    canvas: Any = figure.canvas
    renderer, top = canvas.get_renderer(), figure.get_size_inches()[1]
    found = {t.get_text(): t for t in figure.texts} | {
        f"legend {i}": x for i, x in enumerate(figure.legends)
    }
    found |= {f"axes {i}": axes for i, axes in enumerate(figure.axes)}
    places = {}
    for name, artist in found.items():
        box = artist.get_window_extent(renderer)
        x0, y0, x1, y1 = (float(v) / figure.dpi for v in box.extents)
        places[name] = (x0, top - y1, x1, top - y0)
    return places


@pytest.mark.parametrize("name", ["one", "far", "matrix", "table", "heatmap"])
def test_the_line_below_moves_nothing_and_lies_on_nothing(name: str) -> None:
    plain, figure = every_figure()[name], signed(every_figure()[name], LINE)
    before, after = boxes(plain), boxes(figure)
    (line,) = [t for t in figure.texts if t.get_gid() == FOOTER]
    footer = after.pop(line.get_text())
    assert " ".join(line.get_text().split("\n")) == LINE
    assert set(after) == set(before)
    for what, box in before.items():
        assert after[what] == pytest.approx(box, abs=0.02), what
        assert box[3] <= footer[1] + 0.02, f"{what} reaches into the line below"
    assert footer[3] <= figure.get_size_inches()[1] and footer[2] <= figure.get_size_inches()[0]


def test_a_figure_without_a_layout_or_a_line_is_signed_too() -> None:
    figure = Figure(figsize=(3, 2))
    axes = figure.add_axes((0.1, 0.1, 0.8, 0.8))
    assert signed(figure, "") is figure and tuple(figure.get_size_inches()) == (3, 2)
    signed(figure, "hub weights")
    height = figure.get_size_inches()[1]
    assert height > 2
    assert axes.get_position().height * height == pytest.approx(1.6)
