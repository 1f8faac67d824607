"""Null arms: is each direction taken where it does best, and once?"""

from __future__ import annotations

from dataclasses import replace

from mahals.reporting.null_arms import at_their_best, dose_key, families_of
from tests.support.arm_rows import arm_row, at_dose


def test_each_direction_stands_once_at_its_best_dose() -> None:
    low = [arm_row("random", k, draw=k, aqi=float(k)) for k in range(3)]
    high = [at_dose(r, 0.2, aqi=1.0) for r in low]
    assert at_their_best([*low, *high], lambda r: r.aqi) == [high[0], low[1], low[2]]
    moved = [replace(low[0], source=s, map="ridge") for s in "BC"]
    assert at_their_best(moved, lambda r: r.aqi) == moved, "another source is another direction"


def test_a_vector_that_crossed_has_to_beat_its_own_family_too() -> None:
    own = arm_row("steered", 0)
    assert families_of(own) == ("random", "shuffled_pairs")
    assert families_of(replace(own, map="ridge"))[-1] == "shuffled"
    assert dose_key(own)[-1] == own.dose
