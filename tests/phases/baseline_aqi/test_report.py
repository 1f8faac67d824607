"""Baseline AQI, report: do levels say what stands above what?"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from scipy import stats

from mahals.data.texts import AXIOMS
from mahals.phases.baseline_aqi.report import (
    above_floor,
    best_line,
    chances,
    headline,
    model_metrics,
    report_model,
    report_power,
)
from mahals.phases.baseline_aqi.rows import Row, lowest_reached
from mahals.reporting.evidence import Evidence
from mahals.schema import AXIOM_COLUMNS
from tests.support.tiny_lab import MemoryKept


def score(readout: Any, aqi: float, **changes: Any) -> Row:
    values = {name: None for name in Row.__dataclass_fields__} | {
        "model": "A",
        "readout": readout,
        "split": "evaluation",
        "pool": "mean",
        "space": "native",
        "layer": 3,
        "last": True,
        "axiom": "mean",
        "n": 8,
        "aqi": aqi,
        "aqi_low": aqi - 2,
        "aqi_high": aqi + 2,
        "p_value": 0.01,
        "influence": "A/x",
        "influence_row": 0,
        "absent": (),
    }
    return Row(**{**values, **changes})


def test_the_headline_is_the_last_layer_in_the_first_pool_and_space() -> None:
    rows = [
        score("aligned", 1.0, last=False, layer=0),
        score("aligned", 2.0),
        score("aligned", 3.0, space="standardized"),
        score("aligned", 4.0, pool="last"),
    ]
    assert headline(rows, "aligned", "mean", None) is rows[1]
    assert headline(rows, "aligned", "mean", "standardized") is rows[2]
    assert headline(rows, "aligned", "mean", None, "last") is rows[3]
    assert headline(rows, "base", "mean", None) is None


@pytest.mark.parametrize(("highest", "clear"), [(17.9, True), (18.0, False), (30.0, False)])
def test_above_its_floor_means_the_whole_interval(highest: float, clear: bool) -> None:
    rows = [score("aligned", 20.0), score("tfidf", highest), score("random", 1.0)]
    assert above_floor(rows, None) == (clear, f"highest floor tfidf {highest:.1f}")
    assert above_floor(rows[:1], None)[0] is False


def test_metrics_name_every_checkpoint_floor_and_axiom() -> None:
    rows = [score(r, float(i)) for i, r in enumerate(("aligned", "base", "tfidf"))]
    rows += [score("aligned", 10.0 + i, axiom=a) for i, a in enumerate(AXIOMS)]
    rows += [score("aligned", 50.0, axiom="pooled"), score("aligned", 9.0, space="standardized")]
    found = model_metrics(rows)
    assert {k: found[k] for k in ("aqi", "aqi_base", "aqi_tfidf")} == {
        "aqi": 0.0,
        "aqi_base": 1.0,
        "aqi_tfidf": 2.0,
    }
    assert [found[c] for c in AXIOM_COLUMNS] == [10.0 + i for i in range(7)]
    assert (found["aqi_pooled"], found["aqi_standardized"]) == (50.0, 9.0)
    assert "aqi_sham" not in found


def influences() -> torch.Tensor:
    x = np.random.default_rng(0).normal(0, 6, (2, 8))
    x -= x.mean(axis=1, keepdims=True)
    return torch.from_numpy(x)


def table_of(rows: list[Row]) -> Evidence[Row]:
    kept = MemoryKept({"A/x": {"influence": influences(), "clusters": torch.arange(8)}})
    return Evidence(rows, kept)


def test_what_alignment_added_is_a_paired_difference_and_its_power_that_over_its_error() -> None:
    rows = [score("aligned", 20.0), score("base", 15.0, influence_row=1), score("tfidf", 1.0)]
    found = report_power(table_of(rows), "A")
    x = influences().numpy()
    error = np.sqrt(((x[0] - x[1]) ** 2).sum() / (8 * 7))
    half = stats.t.ppf(0.975, 7) * error
    assert found.lines == [
        f"A: on selection prompts aligned minus base +5.0 [{5 - half:+.1f}, {5 + half:+.1f}] "
        f"(mean of the prompt), {5 / error:.1f} standard errors"
    ]
    assert found.metrics == {"power_mean": pytest.approx(5 / error)}


def test_the_readout_with_more_power_is_named() -> None:
    rows = [
        score(r, aqi, pool=pool, influence_row=i)
        for pool, levels in (("mean", (3.0, 2.0)), ("last", (90.0, 20.0)))
        for i, (r, aqi) in enumerate(zip(("aligned", "base"), levels, strict=True))
    ]
    found = report_power(table_of(rows), "A")
    assert found.metrics["power_last"] == pytest.approx(70 * found.metrics["power_mean"])
    assert found.lines[-1].startswith("A: last token has the most power")
    assert found.lines[-1].endswith(
        "the headline is mean of the prompt, not last token, as set for all models of these weights"
    )
    agrees = report_power(table_of(rows[2:] + rows[:2]), "A").lines[-1]
    assert agrees.endswith("the headline is last token, as set for all models of these weights")
    both = report_model(table_of(rows), "A")
    assert (both.metrics["aqi_mean"], both.metrics["aqi_base_last"]) == (3.0, 20.0)
    assert sum("(mean of the prompt, native space" in line for line in both.lines) == 1
    assert sum("(last token, native space" in line for line in both.lines) == 1


@pytest.mark.parametrize(("low", "reached"), [(-11.0, False), (-100 / 9, True), (-12.0, True)])
def test_a_level_that_reaches_the_lowest_there_is_is_marked(low: float, reached: bool) -> None:
    own = score("aligned", -5.0, aqi_low=low)
    rows = [own, *(score("aligned", -5.0, axiom=a, n=10) for a in AXIOMS)]
    assert lowest_reached(rows, own) == (pytest.approx(-100 / 9) if reached else None)
    line = report_model(table_of(rows), "A").lines[0]
    assert ("aligned: nothing to measure here" in line) == reached


def test_of_one_checkpoint_alone_its_own_level_is_told() -> None:
    (line,) = report_model(table_of([score("base", 1.0)]), "A").lines
    assert line.startswith("A: aqi 1.0 [-1.0, 3.0]")


def two_models() -> list[Row]:
    rows = []
    for i, name in enumerate("AB"):
        own = {"model": name, "space": "standardized", "influence_row": i}
        rows += [score("aligned", 20.0 + 2 * i, **own), score("tfidf", 1.0, **own)]
    return rows


def test_p_best_of_two_is_the_normal_tail_of_their_difference() -> None:
    table = table_of(two_models())
    shares = chances(table)
    x = influences().numpy()
    error = np.sqrt(((x[0] - x[1]) ** 2).sum() / (8 * 7))
    assert shares["B"] == pytest.approx(stats.norm.cdf(2 / error), abs=0.02)
    assert sum(shares.values()) == pytest.approx(1)
    assert best_line(shares, table).startswith("baseline model: B, aqi 22.0")


def test_a_model_at_its_floor_is_no_candidate() -> None:
    rows = two_models()
    rows[3] = replace(rows[3], aqi=30.0)
    assert list(chances(table_of(rows))) == ["A"]
    rows[1] = replace(rows[1], aqi=30.0)
    assert chances(table_of(rows)) == {}
    assert best_line({}, table_of(rows)).startswith("no baseline model")
