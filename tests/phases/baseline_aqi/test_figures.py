"""Baseline AQI, figures: is every readout there, and is a level without meaning marked?"""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from matplotlib.figure import Figure

from mahals.data.texts import AXIOMS
from mahals.phases.baseline_aqi.figures import draw
from mahals.phases.baseline_aqi.rows import Row
from tests.phases.baseline_aqi.test_report import influences, score
from tests.support.tiny_lab import MemoryKept


def measured() -> list[Row]:
    """Two models in two readouts: the mean over the prompt lies at the lowest AQI there is."""
    rows = []
    for model in "AB":
        for pool, level in (("last", 90.0), ("mean", -10.0)):
            for axiom in ("mean", *AXIOMS):
                of = {"model": model, "pool": pool, "axiom": axiom, "space": "standardized"}
                rows.append(score("aligned", level, n=10, **of))
            rows.append(replace(rows[-8], layer=0, last=False))
        rows.append(score("tfidf", 4.0, pool=None, model=model, space="standardized"))
    return rows


@pytest.fixture
def rows() -> list[Row]:
    return measured()


def drawn(rows: list[Row]) -> dict[str, Figure]:
    kept = {"influence": influences(), "clusters": torch.arange(8)}
    return dict(draw(rows, MemoryKept({"A/x": kept})))


def test_bars_stand_for_each_readout_and_a_dagger_for_nothing_to_measure(rows) -> None:
    axes = (bars := drawn([r for r in rows if r.model == "A"])["aqi_bar_plot"]).axes[0]
    names = [t.get_text() for t in axes.get_yticklabels()]
    assert names == ["A, last token", "A, mean of the prompt \u2020"]
    assert [p.get_width() for p in axes.patches] == [90.0, -10.0]
    floors = [list(ln.get_xdata()) for ln in axes.lines if ln.get_gid() == "floor"]
    assert floors == [[4.0, 4.0]], "of the texts: the same for both"
    said = " ".join(bars.texts[1].get_text().split())
    assert said.endswith(
        "nothing to measure here: the interval reaches the lowest AQI there is, -11.1."
    )


def test_axes_name_their_readout(rows) -> None:
    figures = drawn([r for r in rows if r.model == "A"])
    for name, words in (("", "aqi, last token"), ("_mean", "aqi, mean of the prompt")):
        axes = figures[f"aqi_layer_profile{name}"].axes[0]
        assert axes.get_ylabel().startswith(words)
        title = figures[f"aqi_axiom_heatmap{name}"].texts[0].get_text()
        assert title.endswith(words.removeprefix("aqi"))
    said = {n: " ".join(f.texts[1].get_text().split()) for n, f in figures.items()}
    assert "In 7 of 7 cells there is nothing to measure" in said["aqi_axiom_heatmap_mean"]
    assert "nothing to measure" not in said["aqi_axiom_heatmap"]


def test_a_readout_without_a_profile_has_no_such_figure(rows) -> None:
    few = [r for r in rows if r.pool == "last" or r.last]
    assert "aqi_layer_profile_mean" not in drawn([r for r in few if r.model == "A"])
