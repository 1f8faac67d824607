"""Null families: are both measured at every dose, once, and shared by all beside them?"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from mahals.evaluation import cache as once
from mahals.evaluation.arms import Direction, null_directions, own_and_flipped
from mahals.evaluation.families import at_every_dose, measure_nulls
from mahals.evaluation.native_vectors import native
from mahals.evaluation.scores import measure_arms
from mahals.phase import StatesPlace
from tests.support.arm_rows import OWN
from tests.support.tiny_lab import SUITE, TinyLab, lab_with_vectors

NULLS = 2


@pytest.fixture(scope="module")
def lab() -> TinyLab:
    return lab_with_vectors()


@pytest.fixture(scope="module")
def nulls(lab: TinyLab) -> list[Direction]:
    own = native(lab, "A", "mean_difference", "contrast")
    return null_directions(OWN, own, {1: own.values[1]}, NULLS, seed=0)


def test_both_families_are_measured_at_every_dose(
    at: Any, lab: TinyLab, nulls: list[Direction]
) -> None:
    found = measure_nulls(at, nulls, lab)
    families = ["random"] * NULLS + ["shuffled_pairs"] * NULLS
    assert [d.label.arm for d in found.dosed] == families * len(SUITE.null_kls)
    assert [d.label.dose for d in found.dosed] == [k for k in SUITE.null_kls for _ in families]
    assert len(SUITE.null_kls) == len(SUITE.kls) + 1 == 3 and found.missed == ()
    for dosed, scores in zip(found.dosed, found.found, strict=True):
        assert scores.shift is not None
        assert scores.shift.largest == pytest.approx(dosed.label.dose, rel=0.5)  # other texts
    (alone,) = measure_arms(at, [found.dosed[1].arm], neutral=True)
    assert alone.readings.last.aqi == found.found[1].readings.last.aqi


def test_an_arm_that_misses_a_dose_is_named_and_the_others_stand(
    at: Any, lab: TinyLab, nulls: list[Direction]
) -> None:
    nil = Direction(nulls[0].label, {1: torch.zeros_like(nulls[0].vectors[1])}, 1.0)
    found = measure_nulls(at, [nil, nulls[1]], lab)
    assert [d.label.draw for d in found.dosed] == [1, 1, 1] and len(found.found) == 3
    assert len(found.missed) == 3 and all("draw 0" in why for why in found.missed)


def test_a_vector_and_its_flip_stand_at_every_dose_too(at: Any, lab: TinyLab) -> None:
    own = native(lab, "A", "mean_difference", "contrast")
    reached = at_every_dose(at, own_and_flipped(OWN, {1: own.values[1]}), lab)
    assert [(d.label.arm, d.label.dose) for d in reached.dosed] == [
        (arm, kl) for kl in SUITE.kls for arm in ("steered", "flipped")
    ]


def test_null_directions_among_others_stand_beyond_too(
    at: Any, lab: TinyLab, nulls: list[Direction]
) -> None:
    own = native(lab, "A", "mean_difference", "contrast")
    some = [*own_and_flipped(OWN, {1: own.values[1]})[:1], nulls[0]]
    reached = at_every_dose(at, some, lab)
    assert [(d.label.arm, d.label.dose) for d in reached.dosed] == [
        *((arm, kl) for kl in SUITE.kls for arm in ("steered", "random")),
        ("random", SUITE.null_kls[-1]),
    ]


def test_the_same_set_in_another_phase_is_written_once(
    at: Any, nulls: list[Direction], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Answers too: they are always written in the same batches, apart from all other arms."""
    lab = lab_with_vectors()
    lab.cache = StatesPlace(tmp_path / "states", 1 << 22)
    first = measure_nulls(at, nulls, lab)
    for name in ("written", "score_arms", "doses_at"):
        monkeypatch.setattr(once, name, lambda *_: 1 / 0)
    again = measure_nulls(at, nulls, lab)
    assert [m.behaviour for m in again.found] == [m.behaviour for m in first.found]
    assert [d.label for d in again.dosed] == [d.label for d in first.dosed]
    with pytest.raises(ZeroDivisionError):
        measure_nulls(at, nulls[:-1], lab)
