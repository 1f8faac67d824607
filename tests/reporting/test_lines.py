"""Lines: is a configuration one line at the dose chosen elsewhere, and KL50 where half is gone?"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from mahals.reporting.evidence import ArmTable
from mahals.reporting.gains import collect
from mahals.reporting.lines import Line, line_key, lines
from mahals.schema import ArmRow
from tests.support.arm_rows import N, arm_row, at_dose, evidence
from tests.support.tiny_lab import MemoryKept

HALF = N // 2  # prompts of a label


def table_of(rows: list[ArmRow], gaps: list[float]) -> ArmTable[ArmRow]:
    """Rows whose refusal gap is, one after another, that of `gaps`; no safe prompt is refused."""
    refused = np.zeros((len(rows), N), dtype=bool)
    for row, gap in zip(refused, gaps, strict=True):
        row[: 2 * round(gap * HALF) : 2] = True
    placed = [replace(r, evidence_row=i) for i, r in enumerate(rows)]
    return ArmTable(placed, MemoryKept({"A/evidence": evidence(np.zeros((len(rows), N)), refused)}))


def one_line(table: ArmTable[ArmRow]) -> Line[ArmRow]:
    (found,) = lines(collect(table), table)
    return found


def dosed(dose: float, **changes: Any) -> ArmRow:
    return at_dose(arm_row("steered", 0), dose, **{"kl": dose, **changes})


def tried(*found: tuple[float, float | None, tuple[str, ...] | None]) -> Line[ArmRow]:
    """A line of doses, each with its refusal gap and broken bounds on the selection split.

    On evaluation the highest dose refuses most.
    """
    rows = [dosed(d, selection_gap=g, selection_over=o) for d, g, o in found]
    gaps = [0.0, *(i / 12 for i, _ in enumerate(found, start=1))]
    return one_line(table_of([arm_row("unsteered", 0), *rows], gaps))


def test_the_dose_is_chosen_by_gap_on_selection_under_the_ceiling_there() -> None:
    line = tried((0.2, 0.9, ("refusal_safe",)), (0.1, 0.5, ()), (0.05, 0.4, ()))
    assert [e.row.dose for e in line.arms] == [0.05, 0.1, 0.2], "by rising dose"
    assert line.chosen.row.dose == 0.1, "not the highest on evaluation, nor over the ceiling"
    assert line.why == "the highest refusal gap of 2 doses on the selection split"
    equal = tried((0.2, 0.5, ()), (0.1, 0.5, ()))
    assert equal.chosen.row.dose == 0.1, "of equal ones the lowest dose"
    worse = tried((0.2, -0.5, ()), (0.1, -0.7, ()))
    assert worse.chosen.row.dose == 0.2


def test_where_nothing_is_allowed_the_lowest_dose_stands_and_it_is_said() -> None:
    over = tried((0.2, 0.9, ("kl",)), (0.1, 0.5, ("kl",)))
    assert over.chosen.row.dose == 0.1
    assert over.why == "the lowest dose: all are over the ceiling on the selection split"
    untried = tried((0.2, None, None), (0.1, None, None))
    assert (untried.chosen.row.dose, untried.why) == (0.1, "the lowest dose: none was tried")


def test_a_line_is_one_configuration_of_steered_arms_at_kl_doses() -> None:
    own = dosed(0.1)
    rows = [
        own,
        dosed(0.2),
        replace(own, arm="flipped"),
        replace(own, dose_kind="lambda", dose=1.0),
        replace(own, map="ridge", source="B"),
        replace(own, operator="ablate"),
        replace(own, method="pca"),
        replace(own, placement="increments"),
        replace(own, layers=(2,)),
    ]
    table = table_of([arm_row("unsteered", 0), *rows], [0.0] * 10)
    found = lines(collect(table), table)
    assert [len(line.arms) for line in found] == [2, 1, 1, 1, 1, 1]
    assert {line_key(e.row) for e in found[0].arms} == {line_key(own)}
    assert line_key(replace(own, vector="x")) == line_key(own)


def kl50(gaps: list[float], *, base: float = 0.0, aligned: float | None = 1.0) -> Any:
    """KL50 of a line with these gaps at .05, .1 and .2 nats."""
    rows = [arm_row("unsteered", 0), *(dosed(d) for d in (0.05, 0.1, 0.2))]
    given = [base, *gaps]
    if aligned is not None:
        rows, given = [*rows, arm_row("aligned", 0)], [*given, aligned]
    return one_line(table_of(rows, given)).kl50


def test_kl50_is_between_doses_by_a_straight_line() -> None:
    assert kl50([0.25, 0.75, 1.0]).value == pytest.approx(0.075)
    assert kl50([0.5, 0.0, 0.0]).value == pytest.approx(0.05), "the first time it is reached"
    assert kl50([0.75, 1.0, 1.0]).value == pytest.approx(0.05 * 0.5 / 0.75), "from 0 nats up"
    assert kl50([0.75, 1.0, 1.0], base=0.25).value == pytest.approx(0.05 * 0.25 / 0.5)
    assert kl50([0.25, 0.25, 0.75], aligned=0.75).value == pytest.approx(0.1 + 0.1 * 0.125 / 0.5)


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        ({"gaps": [0.0, 0.25, 0.25]}, "not reached by 0.2 nats per token"),
        ({"gaps": [1.0, 1.0, 1.0], "base": 0.5}, "the unsteered model is there already"),
        ({"gaps": [1.0, 1.0, 1.0], "aligned": 0.0}, "the refusal gap of the aligned checkpoint"),
        ({"gaps": [1.0, 1.0, 1.0], "aligned": None}, "the aligned checkpoint was not measured"),
    ],
)
def test_kl50_is_absent_with_its_reason(given: dict[str, Any], reason: str) -> None:
    found = kl50(**given)
    assert found.value is None and found.reason.startswith(reason)


def test_kl50_is_read_at_the_kl_that_was_measured() -> None:
    """Not at the one that was asked for on the calibration texts."""
    rows = [arm_row("unsteered", 0), dosed(0.1, kl=0.3), arm_row("aligned", 0)]
    assert one_line(table_of(rows, [0.0, 1.0, 1.0])).kl50.value == pytest.approx(0.15)
