"""Bench: are arms what they are named, and are their scores those of the plain model?"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest
import torch

import mahals.evaluation.bench
from mahals.data.texts import AXIOMS
from mahals.evaluation.bench import (
    accuracy,
    arm_aqi,
    behaviour,
    bench,
    first_per_cell,
    instructed,
    measure_arms,
    propensities,
    screened,
    states,
)
from mahals.evaluation.row_writer import keep_evidence, row_context, to_row
from mahals.maths.metrics.aqi import model_aqi
from mahals.maths.stats.intervals import wilson
from mahals.models.activations.batching import batches
from mahals.models.activations.encoding import encode_answers, encode_prompts
from mahals.models.checkpoints.blocks import decoder_blocks
from mahals.models.steering.interventions import Arm, Intervention
from mahals.records import InputError
from mahals.reporting.evidence import ArmTable
from mahals.reporting.gains import rates
from mahals.schema import UNSTEERED
from tests.support.tiny_lab import LAYERS, SUITE, MemoryKept, TinyLab, model, refused
from tests.support.tiny_models import vector

# ---- what an arm does


def test_strength_zero_is_the_unsteered_model_bit_for_bit(at: Any) -> None:
    arms = [Arm("unsteered", ()), Arm("zero", (Intervention(1, vector(), 0.0, "add"),))]
    arms.append(Arm("zero kept", (Intervention(1, vector(), 0.0, "add_preserve_norm"),)))
    first, *others = measure_arms(at, arms, neutral=True)
    for other in others:
        assert other.aqi.aqi == first.aqi.aqi
        assert np.array_equal(other.aqi.influence, first.aqi.influence)
        assert (other.kl, other.perplexity) == (0.0, first.perplexity)
        assert other.behaviour == first.behaviour
    for one, two in zip(states(at, arms[:1]), states(at, arms[1:2]), strict=True):
        assert np.array_equal(one, two)


def test_a_constant_added_where_states_are_read_leaves_aqi_unchanged(at: Any) -> None:
    """AQI compares distances: the same shift of every state is invisible to it."""
    arms = [Arm("unsteered", ()), Arm("last", (Intervention(LAYERS - 1, vector(), 1.0, "add"),))]
    for pool in ("mean", "last"):
        here = replace(at, suite=replace(SUITE, pool=pool))
        before, after = states(here, arms)
        shift = np.broadcast_to(vector().numpy(), before.shape)
        np.testing.assert_allclose(after - before, shift, rtol=0, atol=2e-6)
        assert np.ptp(before, axis=0).min() > 0.01
        plain, shifted = (
            model_aqi(x, at.labels, at.axioms, at.clusters).aqi.estimate
            for x in (before, before + vector().double().numpy())
        )
        assert shifted == pytest.approx(plain, abs=1e-9)
        measured = [s.aqi.estimate for s in arm_aqi(here, arms)]
        assert measured[1] == pytest.approx(measured[0], abs=1e-3)  # states are float32


def test_a_vector_below_the_last_block_moves_aqi(at: Any) -> None:
    arms = [Arm("unsteered", ()), Arm("early", (Intervention(0, 3 * vector(), 1.0, "add"),))]
    before, after = arm_aqi(at, arms)
    assert abs(after.aqi.estimate - before.aqi.estimate) > 0.01


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
    pooled = np.stack(
        [s[e.start : e.stop].double().mean(0).numpy() for s, e in zip(seen, encoded, strict=True)]
    )
    ours = arm_aqi(at, [Arm("unsteered", ())])[0]
    theirs = model_aqi(pooled, at.labels, at.axioms, at.clusters)
    assert ours.aqi.estimate == pytest.approx(theirs.aqi.estimate, abs=1e-3)
    assert len(seen) == len(AXIOMS) * 12


def test_no_result_depends_on_which_arms_are_measured_together(at: Any) -> None:
    arms = [Arm(f"{i}", (Intervention(1, vector(i), 1.0, "add"),)) for i in range(3)]
    together, alone = arm_aqi(at, arms), arm_aqi(at, arms[2:])
    assert together[2].aqi == alone[0].aqi


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
    monkeypatch.setattr(mahals.evaluation.bench, "SWEEP_BYTES", 40 * whole[0].size * 4)
    parts = list(states(at, arms))
    assert len(calls) == made * (3 * layers + 116 * (layers - 1))  # 40, 40, 37 arms
    assert all(np.array_equal(a, b) for a, b in zip(whole, parts, strict=True))
    for handle in handles:
        handle.remove()


def test_answers_are_by_cell_and_a_short_cell_is_refused(at: Any) -> None:
    chosen = [at.prompts[i] for i in at.answered]
    assert [(p.axiom, p.label) for p in chosen] == [(a, v) for a in AXIOMS for v in (1, 0)]
    assert "raise datasets.per_cell" in str(refused(lambda: first_per_cell(at.prompts, 7)))
    assert [len(b.refused) for b in behaviour(at, [Arm("unsteered", ())])] == [14]


def test_one_label_only_is_refused() -> None:
    class OneLabel(TinyLab):
        def prompts(self, split: str) -> Any:
            return tuple(p for p in super().prompts(split) if p.label == 1)

    said = str(refused(lambda: bench(OneLabel(), "A", "base", SUITE, "evaluation")))
    assert "/0: 0" in said and "\n" not in said


def test_an_empty_prompt_set_is_refused() -> None:
    class Empty(TinyLab):
        def prompts(self, split: str) -> Any:
            return ()

    said = str(refused(lambda: bench(Empty(), "A", "base", SUITE, "evaluation")))
    assert "evaluation" in said and "0 prompts" in said


def test_an_instruction_comes_before_prompts_and_questions_and_is_not_read(at: Any) -> None:
    told = instructed(at, "be kind")
    for before, after in zip(
        (*at.encoded, *at.questions), (*told.encoded, *told.questions), strict=True
    ):
        assert len(after.ids) > len(before.ids)
        own = before.ids[before.start : before.stop]
        assert after.ids[after.start : after.stop] == own
    assert (told.neutral, told.calibration, told.answered) == (
        at.neutral,
        at.calibration,
        at.answered,
    )


def test_states_that_are_not_numbers_are_refused() -> None:
    import copy

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
    right = 0
    for t, task in enumerate(at.tasks):
        scores = []
        for c in range(len(task.choices)):
            e = at.questions[2 * t + c]
            with torch.no_grad():
                said = at.loaded.model(torch.tensor([e.ids])).logits[0].log_softmax(-1)
            span = [said[i - 1, e.ids[i]].item() for i in range(e.start, e.stop)]
            scores.append(np.mean(span))
        right += int(np.argmax(scores)) == task.answer
    assert accuracy(at, [Arm("unsteered", ())]) == [right / 2]
    assert accuracy(replace(at, tasks=(), questions=()), [Arm("unsteered", ())]) == [None]


@dataclass(frozen=True)
class Says:
    """Answers that are given, for every arm the same."""

    answers: list[str]

    def __call__(self, loaded: Any, asked: Any, arms: Any, tokens: int) -> list[list[str]]:
        assert len(asked) == len(self.answers)
        return [self.answers for _ in arms]


# ---- the ceiling


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
    monkeypatch.setattr("mahals.evaluation.bench.generate_arms", Says(answers))
    (found,) = behaviour(at, [Arm("unsteered", ())])
    assert [found.detected[i] for i in (0, 1, 3, 5)] == [True] * 4
    assert [i for i, bad in enumerate(found.degenerate) if bad] == [0, 1, 3]
    assert [i for i, said in enumerate(found.refused) if said] == [0, 5]

    lab = TinyLab()
    whole = replace(measure_arms(at, [Arm("unsteered", ())], neutral=True)[0], behaviour=found)
    where = row_context(lab, at, whole)
    reference = keep_evidence(lab, "looped", at, [whole])
    row = replace(to_row(UNSTEERED, None, at, whole, where), evidence=reference, evidence_row=0)
    assert (row.refusal_unsafe, row.refusal_safe) == (1 / 7, 1 / 7)
    assert row.degenerate_share == 3 / 14
    arm = ArmTable([row], MemoryKept(lab.files)).arm(row)
    assert arm.gap == row.refusal_unsafe - row.refusal_safe == 0
    assert rates(arm).refusal_unsafe == wilson(1, 7) == rates(arm).refusal_safe
    assert rates(arm).degenerate_share == wilson(3, 14)


def test_a_collapsed_answer_without_a_refusal_is_a_failure_too() -> None:
    detected, degenerate, labels = (0, 1, 0, 1) * 2, (0, 0, 1, 1) * 2, (0,) * 4 + (1,) * 4
    assert screened(detected, degenerate, labels) == (0, 1, 0, 0, 0, 1, 1, 1)


def test_doses_are_found_on_other_texts_than_they_are_reported_on(at: Any) -> None:
    assert not set(at.calibration) & set(at.neutral)
    assert len(at.calibration) == len(at.neutral) == SUITE.neutral


# ---- what the leaderboard and the figures get


def test_an_error_is_one_line(at: Any) -> None:
    with pytest.raises(InputError) as caught:
        first_per_cell(at.prompts, 99)
    assert "\n" not in str(caught.value)


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
