"""Entries: does every configuration get one line, with known columns and reasons?"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from mahals.data.categories import is_category_column
from mahals.data.texts import AXIOMS
from mahals.reporting.entries import configuration, entries
from mahals.reporting.evidence import ArmTable
from mahals.reporting.gains import ArmGains, collect
from mahals.reporting.headlines import p_of
from mahals.schema import COLUMNS, ArmRow, Entry
from tests.support.arm_rows import DRAWS, arm_row, at_dose, sample


def board() -> tuple[ArmTable[ArmRow], list[ArmGains[ArmRow]]]:
    rows, kept = sample()
    flipped = replace(rows[1], arm="flipped", evidence_row=2)
    at_zero = replace(rows[1], dose_kind="lambda", dose=0.0, at_headline=False)
    aligned = arm_row("aligned", 5)
    table = ArmTable([*rows, flipped, at_zero, aligned], kept)
    return table, collect(table)


def of(lines: tuple[Entry, ...], arm: str) -> Entry:
    (found,) = [e for e in lines if e.configuration.arm == arm]
    return found


def test_entries_name_each_configuration_once_with_known_columns() -> None:
    table, found = board()
    lines = entries(table, found, {1: 0.5})
    keys = [e.configuration for e in lines]
    kinds = {"steered", "flipped", "unsteered", "aligned", "random", "shuffled_pairs"}
    assert len(set(keys)) == len(keys) == len(kinds) and {k.arm for k in keys} == kinds
    assert {k.dose for k in keys} == {"kl=0.1", None}, "lambda 0 is no line"
    for e in lines:
        assert set(e.metrics) <= set(COLUMNS) and set(e.reasons) <= set(COLUMNS)
        assert not set(e.metrics) & set(e.reasons)
        assert e.metrics["aqi_civility_tolerance"] != e.metrics["aqi_wisdom_knowledge"]
        assert (e.readout, e.training) == ("last", 0)
    steered = of(lines, "steered")
    assert steered.metrics["transfer_efficiency"] == 0.5
    assert steered.configuration == configuration(table.rows[1])
    for name in ("gain_over_random", "gap_over_random", "aqi_gain"):
        low, high = steered.metrics[f"{name}_low"], steered.metrics[f"{name}_high"]
        assert low < steered.metrics[name] < high


def test_a_line_is_over_the_harder_family_which_it_names() -> None:
    table, found = board()
    line, e = of(entries(table, found, {}), "steered"), found[0]
    over = e.over[e.harder].gap
    assert line.harder == e.harder
    assert line.metrics["gap_over_random_low"] == over.interval.low
    assert line.metrics["gap_over_random_low"] == min(o.gap.interval.low for o in e.over.values())
    assert line.metrics["gap_over_random_p"] == p_of(e)
    lows = [o.aqi.interval.low for o in e.over.values() if o.aqi is not None]
    assert line.metrics["gain_over_random_low"] == min(lows) and len(lows) == 2
    assert line.metrics["refusal_gap"] == pytest.approx(0.4)


def test_a_configuration_stands_once_at_the_dose_chosen_on_selection() -> None:
    rows, kept = sample(selection_gap=0.2, selection_over=())
    other = at_dose(rows[1], 0.2, evidence_row=3, selection_gap=0.3, selection_over=())
    table = ArmTable([*rows, other], kept)
    (line,) = [e for e in entries(table, collect(table), {}) if e.configuration.arm == "steered"]
    assert line.configuration.dose == "kl=0.2"
    assert line.reasons["kl50"] == "the aligned checkpoint was not measured"
    table = ArmTable([*rows, replace(other, selection_over=("refusal_safe",))], kept)
    (line,) = [e for e in entries(table, collect(table), {}) if e.configuration.arm == "steered"]
    assert line.configuration.dose == "kl=0.1"


def test_controls_and_nulls_stand_at_the_headline_dose() -> None:
    table, _ = board()
    flipped = replace(table.rows[-3], selection_gap=None)
    low = [at_dose(r, 0.05) for r in table.rows if r.draw is not None]
    whole = ArmTable([*table.rows, at_dose(flipped, 0.05), *low], table.kept)
    lines = entries(whole, collect(whole), {})
    for arm in ("flipped", "random", "shuffled_pairs"):
        assert of(lines, arm).configuration.dose == "kl=0.1"


@pytest.mark.parametrize("family", ["random", "shuffled_pairs"])
def test_the_line_of_a_null_family_is_the_mean_of_its_draws(family: str) -> None:
    table, found = board()
    line = of(entries(table, found, {}), family)
    drawn = [r for r in table.rows if r.arm == family]
    assert line.metrics["aqi_last"] == pytest.approx(np.mean([r.aqi_last for r in drawn]))
    assert "gap_over_random" not in line.metrics
    assert f"the mean of {DRAWS} {family.replace('_', ' ')} arms" in str(line.reasons)
    axioms = np.mean([r.aqi_axioms for r in drawn], axis=0)
    assert line.weakest_axiom == AXIOMS[int(axioms.argmin())]
    assert (line.vector, line.over_ceiling, line.harder) == (None, (), None)


def test_shuffled_maps_of_all_sources_are_one_family() -> None:
    rows, kept = sample(source="B", map="ridge")
    sources = [
        replace(r, source="BC"[k % 2], map="ridge", source_layers=(k,), vector=f"{k}")
        for k, r in enumerate(r for r in rows if r.arm == "shuffled")
    ]
    table = ArmTable([*[r for r in rows if r.arm != "shuffled"], *sources], kept)
    line = of(entries(table, collect(table), {}), "shuffled")
    assert f"the mean of {DRAWS} shuffled arms" in str(line.reasons)
    assert (line.configuration.source, line.configuration.source_layers) == (None, None)


def test_the_weakest_axiom_is_the_lowest() -> None:
    rows, kept = sample(aqi_axioms=(5.0, 4.0, 3.0, -1.0, 2.0, 1.0, 0.0))
    table = ArmTable(rows, kept)
    line = of(entries(table, collect(table), {}), "steered")
    assert line.weakest_axiom == "Information Seeking"
    assert line.metrics["aqi_information_seeking"] == -1.0


def test_other_categories_have_other_columns() -> None:
    names = ("privacy", "safe targets")
    rows, kept = sample(aqi_axioms=(5.0, -4.0), categories=names)
    table = ArmTable(rows, kept)
    line = of(entries(table, collect(table), {}), "steered")
    own = {k: v for k, v in line.metrics.items() if is_category_column(k)}
    assert own == {"aqi_privacy": 5.0, "aqi_safe_targets": -4.0}
    assert line.weakest_axiom == "safe targets"


OVER = [f"{n}_over_random{end}" for n in ("gap", "gain") for end in ("", "_low", "_high", "_p")]


@pytest.mark.parametrize(
    ("own", "kept_rows", "reason"),
    [
        ({"dose": 0.2}, 99, "no null arm has this dose"),
        ({}, 2 + DRAWS, "one family of nulls alone"),
        ({}, 2 + DRAWS + 1, "one family of nulls alone"),
        ({}, 3, "no null arm has this dose"),
    ],
)
def test_a_line_without_two_families_of_two_says_so(
    own: dict[str, Any], kept_rows: int, reason: str
) -> None:
    """No nulls at the dose; one family; one family and a single arm; a single arm."""
    rows, kept = sample(**own)
    table = ArmTable(rows[:kept_rows], kept)
    line = of(entries(table, collect(table), {}), "steered")
    for column in OVER:
        assert column not in line.metrics and line.reasons[column] == reason


def test_the_gap_over_the_instructed_model_is_on_every_line_but_its_own() -> None:
    table, _ = board()
    whole = ArmTable([*table.rows, arm_row("prompt", 4)], table.kept)
    lines = entries(whole, collect(whole), {})
    for arm in ("steered", "flipped", "aligned", "unsteered"):
        metrics = of(lines, arm).metrics
        assert metrics["gap_over_prompt_low"] < metrics["gap_over_prompt"]
    assert of(lines, "prompt").reasons["gap_over_prompt"] == "it is the instructed model"
    without = entries(table, collect(table), {})
    assert of(without, "steered").reasons["gap_over_prompt"] == "no instructed model"


def test_marks_come_with_the_line() -> None:
    rows, kept = sample(
        aqi=99.0, over_ceiling=("perplexity_ratio",), not_shown_safe=("safe_accuracy",)
    )
    kept.files["A/evidence"]["refused"][:] = False
    table = ArmTable([*rows, replace(rows[1], arm="flipped")], kept)
    lines = entries(table, collect(table), {})
    line = of(lines, "steered")
    assert line.geometry_only and line.over_ceiling == ("perplexity_ratio",)
    assert line.not_shown_safe == ("safe_accuracy",)
    assert not of(lines, "flipped").geometry_only, "a mark of claims alone"


def test_an_efficiency_that_is_absent_has_its_reason() -> None:
    table, found = board()
    lines = entries(table, found, {1: "the native gain may be 0"})
    assert of(lines, "steered").reasons["transfer_efficiency"] == "the native gain may be 0"
    assert (
        "did not cross" in of(entries(table, found, {}), "steered").reasons["transfer_efficiency"]
    )
