"""Schema: do columns, doses and titles say what rows hold?"""

from __future__ import annotations

from dataclasses import fields, replace
from typing import get_args

from mahals.data.texts import AXIOMS
from mahals.schema import (
    AXIOM_COLUMNS,
    COLUMNS,
    GRID,
    UNSTEERED,
    ArmRow,
    Configuration,
    DoseKind,
    Label,
    Unit,
    arm_title,
)
from tests.support.arm_rows import OWN, arm_row


def test_every_axiom_has_its_column_in_their_order() -> None:
    plain = [a.lower().replace("&", "").replace("-", " ").split() for a in AXIOMS]
    assert tuple("aqi_" + "_".join(words) for words in plain) == AXIOM_COLUMNS
    assert set(AXIOM_COLUMNS) < set(COLUMNS) and len(set(COLUMNS)) == len(COLUMNS)


def test_a_grid_is_in_one_of_two_units_and_equal_kl_is_no_grid() -> None:
    assert set(GRID) == set(get_args(Unit)) and set(GRID.values()) < set(get_args(DoseKind))
    on_grid = {kind: replace(OWN, dose_kind=kind).on_grid for kind in get_args(DoseKind)}
    assert on_grid == {"lambda": True, "relative": True, "kl": False}
    assert not UNSTEERED.on_grid


def test_a_title_names_what_there_is() -> None:
    assert arm_title(UNSTEERED) == "unsteered"
    assert arm_title(OWN) == "steered A add raw"
    moved = replace(OWN, arm="shuffled", source="B", map="ridge", draw=0)
    assert arm_title(moved) == "shuffled B ridge add raw draw 0"


def test_a_row_is_a_label_and_what_a_line_is_about_is_in_the_row() -> None:
    row = arm_row("steered", 0)
    assert {f.name: getattr(row, f.name) for f in fields(Label)} == vars(OWN)
    assert {f.name for f in fields(Configuration)} - {"dose"} <= {f.name for f in fields(ArmRow)}
