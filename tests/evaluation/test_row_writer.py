"""Row writer: does a row say its price, what is absent, of which suite, and what was kept?"""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from mahals.evaluation.row_writer import (
    keep_evidence,
    price_of,
    row_context,
    to_row,
    verdict,
)
from mahals.evaluation.scores import ArmScores, Behaviour, Shift, measure_arms
from mahals.evaluation.suite import NeutralLoss
from mahals.models.steering.interventions import Arm, Intervention
from mahals.schema import UNSTEERED, ArmRow, Label
from tests.support.arm_rows import OWN
from tests.support.tiny_lab import SUITE, TinyLab
from tests.support.tiny_models import vector

N = 14  # answered prompts: a safe and an unsafe one of each axiom
TEXTS, TASKS = 40, 256


def measured(**changes: Any) -> Any:
    """An arm's scores without states: answers, tasks, and the loss on neutral texts."""
    no = (False,) * N
    values: dict[str, Any] = {"refused": no, "degenerate": no, "wrong": 0, "nats": 3.0} | changes
    refused, degenerate = (tuple(map(bool, values[k])) for k in ("refused", "degenerate"))
    said = Behaviour(("",) * N, refused, degenerate, refused, None, refused, None, None)
    right = tuple(i >= values["wrong"] for i in range(TASKS))
    # texts are alike but for a little; their arms differ by one factor
    nats = tuple(values["nats"] * 10 + 0.01 * (i % 3) for i in range(TEXTS))
    unused: Any = None
    return ArmScores(unused, right, NeutralLoss(nats, (10,) * TEXTS), Shift(0.1, 0.2), said)


SAFE = [i % 2 == 0 for i in range(N)]
CHANGES = {
    "perplexity_ratio": {"nats": 3.0 + np.log(1.25)},
    "degenerate_share": {"degenerate": [1] * N},
    "refusal_safe": {"refused": SAFE},
    "safe_accuracy": {"wrong": 32},
}


@pytest.mark.parametrize("bound", CHANGES)
def test_each_bound_of_the_ceiling_can_be_broken_alone(at: Any, bound: str) -> None:
    base = measured()
    assert [at.prompts[i].label == 1 for i in at.answered] == SAFE
    assert verdict(base, base, at).over == ()
    assert verdict(measured(**CHANGES[bound]), base, at).over == (bound,)


def test_more_refusals_of_unsafe_prompts_are_no_price(at: Any) -> None:
    found = verdict(measured(refused=[not s for s in SAFE]), measured(), at)
    assert found.over == () and found == verdict(measured(), measured(), at)


def test_what_was_not_measured_breaks_nothing_and_is_not_called_safe(at: Any) -> None:
    found = verdict(replace(measured(), loss=None, right=None), measured(), at)
    assert not {"perplexity_ratio", "safe_accuracy"} & {*found.over, *found.not_shown_safe}


def test_a_price_holds_the_safe_prompts_alone_and_every_answer(at: Any) -> None:
    refused = [i in (0, 1, 3) for i in range(N)]
    price = price_of(measured(refused=refused, wrong=64), at)
    assert price.not_helped == (True, *[False] * 6) and len(price.degenerate) == N
    assert price.safe_accuracy == 0.75


def test_a_row_says_why_a_cell_is_absent(at: Any) -> None:
    lab = TinyLab()
    found = measure_arms(at, [Arm("unsteered", ())], neutral=False)[0]
    row = to_row(UNSTEERED, None, at, replace(found, right=None), row_context(lab, at, found))
    assert (row.kl, row.perplexity_ratio, row.safe_accuracy) == (None, None, None)
    assert (row.kl_neutral, row.kl_chat) == (None, None)
    assert "safe_accuracy" in str(row.reason) and "kl" in str(row.reason)
    assert row.aqi == found.aqi.aqi.estimate
    assert row.aqi == pytest.approx(np.mean(row.aqi_axioms))


def test_a_row_has_both_readouts_and_names_the_headline(at: Any) -> None:
    lab = TinyLab()
    arms = [Arm("unsteered", ()), Arm("early", (Intervention(1, vector(), 1.0, "add"),))]
    base, found = measure_arms(at, arms, neutral=True)
    for readout in ("mean", "last"):
        there = replace(at, suite=replace(SUITE, readout={"organism": readout}))
        read = replace(found, readings=replace(found.readings, readout=readout))
        row = to_row(OWN, 1.0, there, read, row_context(lab, there, base))
        headline = getattr(found.readings, readout)
        assert row.readout == readout and row.aqi == headline.aqi.estimate
        assert (row.aqi_low, row.aqi_high) == (headline.aqi.low, headline.aqi.high)
        assert row.aqi_mean == found.readings.mean.aqi.estimate
        assert row.aqi_last == found.readings.last.aqi.estimate
        assert row.kl == max(row.kl_neutral or 0, row.kl_chat or 0) > 0
        assert row.perplexity_ratio == pytest.approx(found.loss.perplexity / base.loss.perplexity)
    assert row.training == lab.training("A") and row.weights == "organism"
    assert not row.at_headline, "the label's dose is not the suite's"
    dosed = to_row(replace(OWN, dose=SUITE.dose_kl), 1.0, at, found, row_context(lab, at, base))
    assert dosed.at_headline
    other = replace(OWN, dose_kind="lambda", dose=SUITE.dose_kl)
    assert not to_row(other, 1.0, at, found, row_context(lab, at, base)).at_headline


def test_rates_are_by_the_judge_that_knows_most_and_by_the_detector_beside(at: Any) -> None:
    lab = TinyLab()
    (found,) = measure_arms(at, [Arm("unsteered", ())], neutral=True)
    said = replace(found.behaviour, refused=(True,) * N, lexical=tuple(not s for s in SAFE))
    row = to_row(UNSTEERED, None, at, replace(found, behaviour=said), row_context(lab, at, found))
    assert (row.refusal_unsafe, row.refusal_safe) == (1.0, 1.0)
    assert (row.refusal_unsafe_lexical, row.refusal_safe_lexical) == (1.0, 0.0)


def test_the_share_of_answers_that_the_judge_abstained_from_stands_in_the_row(at: Any) -> None:
    (found,) = measure_arms(at, [Arm("unsteered", ())], neutral=True)
    context = row_context(TinyLab(), at, found)

    def row(abstained: Any) -> ArmRow:
        said = replace(found.behaviour, abstained=abstained)
        return to_row(UNSTEERED, None, at, replace(found, behaviour=said), context)

    assert row(None).judge_abstained is None
    assert row((True,) * 7 + (False,) * 7).judge_abstained == 0.5
    assert row((False,) * N).judge_abstained == 0.0


def test_the_suite_of_a_row_changes_with_the_suites_values_and_the_data(at: Any) -> None:
    """Numbers of two ways to measure never meet on one board."""
    found = measure_arms(at, [Arm("unsteered", ())], neutral=False)[0]
    other = replace(at, suite=replace(SUITE, answers=2))
    places = [(TinyLab(), at), (TinyLab(), other), (TinyLab(data_digest="e" * 64), at)]
    suites = [row_context(lab, where, found).suite for lab, where in places]
    assert len(set(suites)) == 3 and all(s.startswith("tiny-") for s in suites)
    assert row_context(TinyLab("B"), at, found).suite == suites[0]


def test_what_is_kept_holds_each_arm_at_its_place(at: Any) -> None:
    lab = TinyLab()
    arms = [Arm("unsteered", ()), Arm("early", (Intervention(1, 3 * vector(), 1.0, "add"),))]
    found = measure_arms(at, arms, neutral=True)
    labels: list[Label] = [UNSTEERED, OWN]
    kept = keep_evidence(lab, "one", at, list(zip(labels, found, strict=True)))
    assert kept.at(1) == {
        "evidence": "A/one.safetensors",
        "evidence_row": 1,
        "answers": "A/one.answers.jsonl",
    }
    tensors = lab.files[kept.evidence]
    for i, m in enumerate(found):
        for name, scores in (("mean", m.readings.mean), ("last", m.readings.last)):
            assert np.array_equal(tensors[f"influence_{name}"][i].numpy(), scores.influence)
        assert torch.equal(tensors["influence"][i], tensors["influence_mean"][i])
        for flags in ("refused", "degenerate", "detected", "lexical"):
            assert tensors[flags][i].tolist() == list(getattr(m.behaviour, flags))
    assert "truth" not in tensors, "no grammar knows these answers"
    truth = [replace(m, behaviour=replace(m.behaviour, truth=(True,) * N)) for m in found]
    again = keep_evidence(lab, "two", at, list(zip(labels, truth, strict=True)))
    assert lab.files[again.evidence]["truth"].all()
    told = [json.loads(line) for line in lab.texts["one.answers.jsonl"].splitlines()]
    assert [t["arm"] for t in told] == ["unsteered"] * N + ["steered"] * N
    assert [t["answer"] for t in told[N:]] == list(found[1].behaviour.answers)
