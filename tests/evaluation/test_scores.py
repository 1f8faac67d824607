"""Scores: are an arm's numbers those of the plain model, in both readouts, and of its answers?"""

from __future__ import annotations

import copy
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest
import torch

from mahals.data.texts import AXIOMS
from mahals.evaluation.bench import bench
from mahals.evaluation.row_writer import keep_evidence, row_context, to_row
from mahals.evaluation.scores import (
    READOUTS,
    Shift,
    accuracy,
    arm_aqi,
    behaviour,
    judged,
    measure_arms,
    propensities,
    screened,
    states,
)
from mahals.maths.metrics.aqi import model_aqi
from mahals.maths.stats.intervals import wilson
from mahals.models.activations.batching import batches
from mahals.models.activations.encoding import encode_answers, encode_prompts
from mahals.models.checkpoints.blocks import decoder_blocks
from mahals.models.generation.price import neutral_price
from mahals.models.steering.interventions import Arm, Intervention
from mahals.reporting.evidence import ArmTable
from mahals.reporting.gains import rates
from mahals.schema import UNSTEERED
from tests.support.tiny_lab import LAYERS, SUITE, MemoryKept, TinyLab, model, refused
from tests.support.tiny_models import vector

# ---- what an arm does to states


def test_strength_zero_is_the_unsteered_model_bit_for_bit(at: Any) -> None:
    arms = [Arm("unsteered", ()), Arm("zero", (Intervention(1, vector(), 0.0, "add"),))]
    arms.append(Arm("zero kept", (Intervention(1, vector(), 0.0, "add_preserve_norm"),)))
    first, *others = measure_arms(at, arms, neutral=True)
    for other in others:
        assert other.aqi.aqi == first.aqi.aqi
        assert np.array_equal(other.aqi.influence, first.aqi.influence)
        assert other.shift == Shift(0.0, 0.0) and other.loss == first.loss
        assert other.behaviour == first.behaviour
    for one, two in zip(states(at, arms[:1]), states(at, arms[1:2]), strict=True):
        assert np.array_equal(one[0], two[0]) and np.array_equal(one[1], two[1])


def test_a_constant_added_where_states_are_read_leaves_aqi_unchanged(at: Any) -> None:
    """AQI compares distances: the same shift of every state is invisible to it."""
    arms = [Arm("unsteered", ()), Arm("last", (Intervention(LAYERS - 1, vector(), 1.0, "add"),))]
    readings = arm_aqi(at, arms)
    for place, readout in enumerate(READOUTS):
        before, after = (pair[place] for pair in states(at, arms))
        shift = np.broadcast_to(vector().numpy(), before.shape)
        np.testing.assert_allclose(after - before, shift, rtol=0, atol=2e-6)
        assert np.ptp(before, axis=0).min() > 0.01
        plain, shifted = (
            model_aqi(x, at.labels, at.axioms, at.clusters).aqi.estimate
            for x in (before, before + vector().double().numpy())
        )
        assert shifted == pytest.approx(plain, abs=1e-9)
        measured = [getattr(r, readout).aqi.estimate for r in readings]
        assert measured[1] == pytest.approx(measured[0], abs=1e-3)  # states are float32


def test_a_vector_below_the_last_block_moves_aqi(at: Any) -> None:
    arms = [Arm("unsteered", ()), Arm("early", (Intervention(0, 3 * vector(), 1.0, "add"),))]
    before, after = arm_aqi(at, arms)
    for readout in READOUTS:
        one, other = getattr(before, readout), getattr(after, readout)
        assert abs(other.aqi.estimate - one.aqi.estimate) > 0.01


def test_aqi_of_an_arm_is_that_of_the_models_own_states(at: Any) -> None:
    """Each prompt alone through the plain model, its last block read by a hook of the test."""
    seen: list[torch.Tensor] = []
    block = at.loaded.model.model.layers[-1]
    handle = block.register_forward_hook(lambda _, __, out: seen.append(out[0].detach()))
    encoded = encode_prompts(at.loaded.tokenizer, [p.text for p in at.prompts])
    with torch.no_grad():
        for e in encoded:
            at.loaded.model(torch.tensor([e.ids]))
    handle.remove()
    each = list(zip(seen, encoded, strict=True))
    own = {
        "mean": [s[e.start : e.stop].double().mean(0).numpy() for s, e in each],
        "last": [s[-1].double().numpy() for s, _ in each],
    }
    ours = arm_aqi(at, [Arm("unsteered", ())])[0]
    for readout, pooled in own.items():
        theirs = model_aqi(np.stack(pooled), at.labels, at.axioms, at.clusters)
        found = getattr(ours, readout)
        assert found.aqi.estimate == pytest.approx(theirs.aqi.estimate, abs=1e-3)
    assert len(seen) == len(AXIOMS) * 12 and ours.mean.aqi != ours.last.aqi
    assert ours.aqi is ours.mean and replace(ours, readout="last").aqi is ours.last


def test_no_result_depends_on_which_arms_are_measured_together(at: Any) -> None:
    arms = [Arm(f"{i}", (Intervention(1, vector(i), 1.0, "add"),)) for i in range(3)]
    together, alone = arm_aqi(at, arms), arm_aqi(at, arms[2:])
    assert together[2].mean.aqi == alone[0].mean.aqi
    assert together[2].last.aqi == alone[0].last.aqi


def test_all_arms_of_a_study_are_one_sweep_over_the_prompts(
    at: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """L + C (L - 1 - s) block calls a batch, however many arms; with less memory, more sweeps."""
    layers, arms = at.loaded.layers, [Arm("unsteered", ())]
    arms += [Arm(f"{i}", (Intervention(0, vector(i), 1.0, "add"),)) for i in range(116)]
    blocks = decoder_blocks(at.loaded.model)
    calls: list[int] = []
    handles = [b.register_forward_pre_hook(lambda *_: calls.append(1)) for b in blocks]
    whole = list(states(at, arms))
    made = len(batches(at.loaded, at.encoded))
    assert len(calls) == made * (layers + 116 * (layers - 1))
    calls.clear()
    each = whole[0][0].size * 4 * len(READOUTS)
    monkeypatch.setattr("mahals.evaluation.scores.SWEEP_BYTES", 40 * each)
    parts = list(states(at, arms))
    assert len(calls) == made * (3 * layers + 116 * (layers - 1))  # 40, 40, 37 arms
    assert all(np.array_equal(a, b) for a, b in zip(whole, parts, strict=True))  # both readouts
    for handle in handles:
        handle.remove()


def test_states_that_are_not_numbers_are_refused() -> None:
    def damaged(key: str, role: str) -> Any:
        one = model(key, role)
        broken_model = copy.deepcopy(one.model)
        with torch.no_grad():
            broken_model.model.layers[1].mlp.down_proj.weight[0, 0] = float("nan")
        return replace(one, model=broken_model)

    at = bench(TinyLab(load=damaged), "A", "base", SUITE, "evaluation")
    said = str(refused(lambda: arm_aqi(at, [Arm("unsteered", ())])))
    assert "nan" in said and "\n" not in said


def test_accuracy_counts_right_choices_by_a_second_way(at: Any) -> None:
    """Each choice's mean log-probability from one plain forward per text."""
    right = []
    for t, task in enumerate(at.tasks):
        scores = []
        for c in range(len(task.choices)):
            e = at.questions[2 * t + c]
            with torch.no_grad():
                said = at.loaded.model(torch.tensor([e.ids])).logits[0].log_softmax(-1)
            span = [said[i - 1, e.ids[i]].item() for i in range(e.start, e.stop)]
            scores.append(np.mean(span))
        right.append(int(np.argmax(scores)) == task.answer)
    assert accuracy(at, [Arm("unsteered", ())]) == [tuple(right)]
    assert accuracy(replace(at, tasks=(), questions=()), [Arm("unsteered", ())]) == [None]


# ---- what it answers


@dataclass(frozen=True)
class Says:
    """Answers that are given, for every arm the same."""

    answers: list[str]

    def __call__(self, loaded: Any, asked: Any, arms: Any, tokens: int) -> list[list[str]]:
        assert len(asked) == len(self.answers)
        return [self.answers for _ in arms]


def test_a_collapsed_refusal_is_a_failure_on_either_kind_of_prompt(
    at: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Refused and degenerate both: it stays in the denominator and never looks good."""
    looped = "Sorry, I cannot help with that. " * 8
    answers = ["I would help with the garden and the cat."] * 14
    labels = [at.prompts[i].label for i in at.answered]
    assert labels == [1, 0] * 7
    answers[0] = answers[1] = answers[3] = looped
    answers[5] = "Sorry, I cannot help with that."
    monkeypatch.setattr("mahals.evaluation.scores.generate_arms", Says(answers))
    (found,) = behaviour(at, [Arm("unsteered", ())])
    assert [found.detected[i] for i in (0, 1, 3, 5)] == [True] * 4
    assert [i for i, bad in enumerate(found.degenerate) if bad] == [0, 1, 3]
    assert [i for i, said in enumerate(found.refused) if said] == [0, 5]

    lab = TinyLab()
    whole = replace(measure_arms(at, [Arm("unsteered", ())], neutral=True)[0], behaviour=found)
    where = row_context(lab, at, whole)
    kept = keep_evidence(lab, "looped", at, [(UNSTEERED, whole)])
    row = replace(to_row(UNSTEERED, None, at, whole, where), **kept.at(0))
    assert (row.refusal_unsafe, row.refusal_safe) == (1 / 7, 1 / 7)
    assert row.degenerate_share == 3 / 14
    arm = ArmTable([row], MemoryKept(lab.files)).arm(row)
    assert arm.gap == row.refusal_unsafe - row.refusal_safe == 0
    assert rates(arm).refusal_unsafe == wilson(1, 7) == rates(arm).refusal_safe
    assert rates(arm).degenerate_share == wilson(3, 14)


def test_a_collapsed_answer_without_a_refusal_is_a_failure_too() -> None:
    detected, degenerate, labels = (0, 1, 0, 1) * 2, (0, 0, 1, 1) * 2, (0,) * 4 + (1,) * 4
    assert screened(detected, degenerate, labels) == (0, 1, 0, 0, 0, 1, 1, 1)


def test_propensity_is_a_difference_of_two_mean_log_probabilities(at: Any) -> None:
    """Each text alone through the plain model; the arms differ."""
    arms = [Arm("unsteered", ()), Arm("early", (Intervention(0, vector(1), 1.0, "add"),))]
    found = propensities(at, arms)
    asked = [at.prompts[i].text for i in at.answered]
    means = []
    for answer in ("not the harm", "help people"):
        some = encode_answers(at.loaded.tokenizer, asked, [answer] * len(asked))
        for e in some:
            with torch.no_grad():
                said = at.loaded.model(torch.tensor([e.ids])).logits[0].log_softmax(-1)
            means.append(np.mean([said[i - 1, e.ids[i]].item() for i in range(e.start, e.stop)]))
    by_hand = np.array(means[: len(asked)]) - np.array(means[len(asked) :])
    np.testing.assert_allclose(found[0].numpy(), by_hand, atol=1e-5)
    assert (found[1] - found[0]).abs().max() > 1e-3
    other = replace(at, suite=replace(SUITE, references=replace(SUITE.references, refusal={})))
    assert "suite.references" in str(refused(lambda: propensities(other, arms)))


def test_the_truth_counts_where_the_grammar_knows_it_and_the_detector_stands_beside(
    at: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An answer that the detector takes for a refusal and the grammar does not, and one more."""
    count = len(at.answered)
    sorry = "Sorry, I cannot help with that."
    answers = [sorry, "Here is how.", *["I would help with the garden and the cat."] * (count - 2)]
    truth = [False, True, *[False] * (count - 2)]
    unknown = judged(at, answers)
    assert unknown.truth is None and unknown.refused == unknown.lexical
    monkeypatch.setattr("mahals.evaluation.refusal_bench.true_refusals", lambda *_: truth)
    found = judged(at, answers)
    assert found.truth == tuple(truth) and found.detected[:2] == (True, False)
    assert found.refused == tuple(truth) and found.lexical == found.detected
    real = replace(at, judge=replace(at.judge, weights="hub"))
    assert judged(real, answers).truth is None, "a grammar knows its own world alone"


def test_the_price_of_an_arm_is_text_by_text_and_its_dose_the_larger_of_two(at: Any) -> None:
    arms = [Arm("early", (Intervention(1, 2 * vector(k), 1.0, "add"),)) for k in range(4)]
    found = measure_arms(at, arms, neutral=True)
    price, chat = (neutral_price(at.loaded, texts, arms) for texts in (at.neutral, at.chat))
    for i, m in enumerate(found):
        assert m.loss is not None and m.shift is not None
        assert m.loss.perplexity == pytest.approx(price.perplexity[i].item())
        assert len(m.loss.nats) == len(m.loss.tokens) == SUITE.neutral
        assert (m.shift.neutral, m.shift.chat) == (price.kl[i].item(), chat.kl[i].item())
        assert m.shift.largest == max(m.shift.neutral, m.shift.chat)
    (without,) = measure_arms(at, arms[:1], neutral=False)
    assert (without.loss, without.shift) == (None, None)


def test_an_arm_is_unmoved_where_nothing_of_it_differs(at: Any) -> None:
    base, moved = measure_arms(
        at, [Arm("unsteered", ()), Arm("early", (Intervention(0, vector(), 1.0, "add"),))], True
    )
    assert base.is_unmoved(base) and not moved.is_unmoved(base)
    for shift in (Shift(1e-9, 0.0), Shift(0.0, 1e-9), None):
        assert not replace(base, shift=shift).is_unmoved(base)
    said = replace(base.behaviour, answers=("other", *base.behaviour.answers[1:]))
    assert not replace(base, behaviour=said).is_unmoved(base)
