"""Curves: do they hold their values, bands and references?"""

from __future__ import annotations

import math
from dataclasses import replace

from mahals.reporting.plots.curves import CHOSEN, curve_with_band, lines_over_layers
from mahals.reporting.plots.sheet import Estimates
from tests.support.sample_figures import DEPTHS, LAMBDAS, MODELS, WORDS, curve, far


def test_layers_share_relative_depth_only_when_depths_differ(figures) -> None:
    lines = [ln for ln in figures["layers"].axes[0].lines if ln.get_marker() != "None"]
    for line, depth in zip(lines, DEPTHS, strict=True):
        assert list(line.get_xdata()) == [(k + 1) / depth for k in range(depth)]
    same = lines_over_layers({"a": Estimates([1, None, 3]), "b": Estimates([1, 2, 3])}, WORDS)
    first = same.axes[0].lines[0]
    assert list(first.get_xdata()) == [0, 1, 2]
    assert math.isnan(first.get_ydata()[1])
    assert same.axes[0].get_xlabel() == "block"


def test_curves_hold_their_values_and_the_random_band(figures) -> None:
    axes = figures["one"].axes[0]
    by_gid = {line.get_gid(): line for line in axes.lines if line.get_gid()}
    assert list(by_gid["random mean"].get_ydata()) == [10 + x for x in LAMBDAS]
    solid = next(ln for ln in axes.lines if ln.get_marker() == "o" and ln.get_linestyle() == "-")
    assert list(solid.get_ydata()) == [10 + 4 * x for x in LAMBDAS]
    flipped = [ln for ln in axes.lines if ln.get_markerfacecolor() == "white"]
    assert [list(ln.get_ydata()) for ln in flipped] == [[10 - 4 * x for x in LAMBDAS]]
    levels = {ln.get_ydata()[0] for ln in axes.lines if ln.get_gid() == "reference"}
    assert levels == {10.0, 12.0}
    band = axes.collections[0].get_paths()[0].get_extents()
    assert (band.y0, band.y1) == (8.5, 12.5)


def test_a_reference_far_from_the_arms_is_named_and_does_not_squeeze_them(figures) -> None:
    for number, axes in enumerate(figures["far"].axes[: len(MODELS)]):
        levels = {ln.get_ydata()[0] for ln in axes.lines if ln.get_gid() == "reference"}
        assert levels == {10.0}
        away = [t for t in axes.texts if t.get_gid() == "far reference"]
        said = {t.get_text(): t.get_position()[1] > 0.5 for t in away}
        assert said == {f"aligned {160 - 16 * number} \u2191": True, "prompt -90 \u2193": False}
        bottom, top = axes.get_ylim()
        assert bottom > 0 and top < 20


def test_panels_of_one_scale_draw_every_reference() -> None:
    panels = {"a": far(0), "b": curve(1.0)}
    drawn = curve_with_band(panels, WORDS, share=True)
    lines = [ln for ln in drawn.axes[0].lines if ln.get_gid() == "reference"]
    assert {ln.get_ydata()[0] for ln in lines} == {160.0, -90.0, 10.0}
    assert not drawn.axes[0].texts


def test_bands_of_several_families_are_told_apart_and_named() -> None:
    one = Estimates([1.0] * 5, [0.0] * 5, [2.0] * 5)
    two = Estimates([5.0] * 5, [4.0] * 5, [6.0] * 5)
    drawn = curve_with_band({"a": replace(curve(1.0), band={"noise": one, "maps": two})}, WORDS)
    axes = drawn.axes[0]
    middles = [ln for ln in axes.lines if ln.get_gid() == "random mean"]
    assert [ln.get_ydata()[0] for ln in middles] == [1.0, 5.0]
    boxes = [c.get_paths()[0].get_extents() for c in axes.collections[:2]]
    assert [(b.y0, b.y1) for b in boxes] == [(0.0, 2.0), (4.0, 6.0)]
    assert not axes.collections[0].get_hatch() and axes.collections[1].get_hatch()
    assert {"noise", "maps"} < {t.get_text() for t in drawn.legends[0].get_texts()}


def test_the_chosen_dose_is_ringed() -> None:
    drawn = curve_with_band({"a": replace(curve(4.0), chosen={"add": 0.5})}, WORDS)
    (mark,) = [ln for ln in drawn.axes[0].lines if ln.get_gid() == "chosen"]
    assert (list(mark.get_xdata()), list(mark.get_ydata())) == ([0.5], [12.0])
    assert CHOSEN in {t.get_text() for t in drawn.legends[0].get_texts()}


def test_equal_references_show_in_turn() -> None:
    drawn = curve_with_band(
        {"a": replace(curve(1.0), references=dict.fromkeys("abc", 11.0))}, WORDS
    )
    lines = [ln for ln in drawn.axes[0].lines if ln.get_gid() == "reference"]
    assert len({(ln.get_color(), ln._dash_pattern[0]) for ln in lines}) == 3
