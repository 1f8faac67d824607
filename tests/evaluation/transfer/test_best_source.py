"""Best source: is it the one whose vector has the highest refusal gap on the selection split?"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch

from mahals.evaluation.bench import bench
from mahals.evaluation.dose import within_reach
from mahals.evaluation.native_vectors import native
from mahals.evaluation.scores import measure_arms
from mahals.evaluation.transfer import best_source
from mahals.evaluation.transfer.best_source import Crossing, Destination, transferred
from tests.support.arm_rows import OWN
from tests.support.tiny_lab import SUITE, TinyLab, lab_with_vectors

HOW = Crossing("best", "pad", "relative_depth")


def found(lab: TinyLab, how: Crossing, at: Any) -> Any:
    return transferred(
        Destination(at, OWN, native(lab, "A", "mean_difference", "contrast"), how), lab, "base"
    )


def test_a_named_source_travels_alone_and_as_long_as_the_own_vector(at: Any) -> None:
    lab = lab_with_vectors()
    own = native(lab, "A", "mean_difference", "contrast")
    moved = found(lab, replace(HOW, source="C"), at)
    assert (moved.selection_gap, moved.reason) == (None, None)
    label, vector = moved.direction.label, moved.direction.vectors[1]
    assert (label.source, label.map, label.source_layers) == ("C", "pad", (2,))
    assert label.vector == native(lab, "C", "mean_difference", "contrast").mark
    assert vector.norm().item() == pytest.approx(own.values[1].norm().item(), rel=1e-5)


def test_the_best_is_chosen_by_gap_then_by_aqi_on_selection(
    at: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    lab = lab_with_vectors()
    both = [found(lab, replace(HOW, source=s), at).direction for s in "BC"]
    there = bench(lab, "A", "base", SUITE, "selection")
    dosed = within_reach(there, both, SUITE.dose_kl).dosed
    assert len(dosed) == 2
    scores = measure_arms(there, [d.arm for d in dosed], neutral=False)
    unsafe = tuple(there.prompts[i].label == 0 for i in there.answered)
    half = (True, *unsafe[1:])  # one safe prompt more
    for refusals, chosen in (((half, unsafe), "C"), ((unsafe, half), "B")):
        given = [
            replace(s, behaviour=replace(s.behaviour, refused=r))
            for s, r in zip(scores, refusals, strict=True)
        ]
        monkeypatch.setattr(best_source, "measure_arms", lambda *_, given=given, **__: given)
        best = found(lab, HOW, at)
        assert best.direction.label.source == chosen
        assert best.selection_gap == 1.0
        own = next(d for d in both if d.label.source == chosen)
        assert torch.equal(best.direction.vectors[1], own.vectors[1])
    equal = [replace(s, behaviour=replace(s.behaviour, refused=unsafe)) for s in scores]
    monkeypatch.setattr(best_source, "measure_arms", lambda *_, **__: equal)
    higher = "BC"[int(scores[1].aqi.aqi.estimate > scores[0].aqi.aqi.estimate)]
    assert found(lab, HOW, at).direction.label.source == higher


def test_what_does_not_travel_says_why(at: Any) -> None:
    lab = lab_with_vectors()
    alone = replace(lab, models=("A",))
    for one, how, why in (
        (lab, replace(HOW, source="none"), "crossing.source is none"),
        (alone, HOW, "no other model"),
        (lab, Crossing("C", "identity", "relative_depth"), "the widths differ"),
    ):
        nothing = found(one, how, at)
        assert nothing.direction is None and nothing.selection_gap is None
        assert nothing.reason == f"transferred vector: not measured, {why}"
    far = replace(at, suite=replace(SUITE, dose_kl=1e9))
    assert found(lab, HOW, far).reason == "transferred vector: not measured, none has the dose"
