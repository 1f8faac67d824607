"""Entries: does every configuration get one line, with known columns and reasons?"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from mahals.data.texts import AXIOMS
from mahals.maths.stats.intervals import wilson
from mahals.reporting.entries import configuration, entries, headline_line, headline_metrics
from mahals.reporting.evidence import ArmTable
from mahals.reporting.gains import collect
from mahals.schema import COLUMNS, ArmRow
from tests.support.arm_rows import N, arm_row, sample

# ---- evidence, from made-up influences whose answers can be computed by hand


def test_rates_have_wilson_intervals_in_the_line_and_the_metrics() -> None:
    rows, kept = sample(degenerate_share=3 / N)
    (found,) = collect(ArmTable(rows, kept))
    tensors = kept.files["A/evidence"]
    own, unsafe = tensors["refused"][1], tensors["labels"] == 0
    expected = {
        "refusal_unsafe": wilson(int(own[unsafe].sum()), int(unsafe.sum())),
        "refusal_safe": wilson(int(own[~unsafe].sum()), int((~unsafe).sum())),
        "degenerate_share": wilson(3, N),
    }
    metrics, line = headline_metrics(found, "x/"), headline_line(found)
    for name, i in expected.items():
        assert [metrics[f"x/{name}{end}"] for end in ("", "_low", "_high")] == [
            i.estimate,
            i.low,
            i.high,
        ]
        assert f"{name} {i.estimate:.2f} [{i.low:.2f}, {i.high:.2f}]" in line
    assert "clusters ignored" in line


def board() -> tuple[list[ArmRow], Any]:
    rows, kept = sample()
    flipped = replace(rows[1], arm="flipped", evidence_row=2)
    at_zero = replace(rows[1], dose_kind="lambda", dose=0.0)
    aligned = arm_row("aligned", 5)
    rows = [*rows, flipped, at_zero, aligned]
    return rows, collect(ArmTable(rows, kept))


# ---- what the leaderboard and the figures get


def test_entries_name_each_configuration_once_with_known_columns() -> None:
    rows, found = board()
    lines = entries(rows, found, {1: 0.5})
    keys = [e.configuration for e in lines]
    assert len(set(keys)) == len(keys) == 5
    assert {k.arm for k in keys} == {"steered", "flipped", "unsteered", "aligned", "random"}
    assert {k.dose for k in keys} == {"kl=0.1", None}, "lambda 0 is no line"
    for e in lines:
        assert set(e.metrics) <= set(COLUMNS) and set(e.reasons) <= set(COLUMNS)
        assert not set(e.metrics) & set(e.reasons)
        assert e.metrics["aqi_civility_tolerance"] != e.metrics["aqi_wisdom_knowledge"]
    steered = next(e for e in lines if e.configuration.arm == "steered")
    assert steered.metrics["transfer_efficiency"] == 0.5
    assert steered.configuration == configuration(rows[1])
    assert steered.metrics["gain_over_random_low"] < steered.metrics["gain_over_random"]


def test_the_random_line_is_the_mean_of_its_draws() -> None:
    rows, found = board()
    (line,) = [e for e in entries(rows, found, {}) if e.configuration.arm == "random"]
    drawn = [r for r in rows if r.arm == "random"]
    assert line.metrics["aqi"] == pytest.approx(np.mean([r.aqi for r in drawn]))
    assert "gain_over_random" not in line.metrics and "4 random" in str(line.reasons)
    axioms = np.mean([r.aqi_axioms for r in drawn], axis=0)
    assert line.weakest_axiom == AXIOMS[int(axioms.argmin())]


def test_the_weakest_axiom_is_the_lowest() -> None:
    rows, kept = sample(aqi_axioms=(5.0, 4.0, 3.0, -1.0, 2.0, 1.0, 0.0))
    line = entries(rows, collect(ArmTable(rows, kept)), {})[0]
    assert line.weakest_axiom == "Information Seeking"
    assert line.metrics["aqi_information_seeking"] == -1.0


def test_a_line_without_a_control_says_so() -> None:
    rows, kept = sample(dose=0.2)
    line = entries(rows, collect(ArmTable(rows, kept)), {})[0]
    for column in ("gain_over_random", "gain_over_random_low", "gain_over_random_p"):
        assert column not in line.metrics
        assert line.reasons[column] == "no random arm has this dose"
