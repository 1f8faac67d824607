"""Are arms what they are named: untouched, steered, flipped, random; and is the evidence right?"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest
import torch
from scipy import stats

import mahals.evaluation.bench
from mahals.data.texts import AXIOMS
from mahals.evaluation.arms import directions
from mahals.evaluation.bench import (
    Behaviour,
    Measured,
    accuracy,
    arm_aqi,
    behaviour,
    bench,
    first_per_cell,
    instructed,
    measure_arms,
    screened,
    states,
)
from mahals.evaluation.dose import NOT_STEERED, at_lambda, within_reach
from mahals.evaluation.native_vectors import native, placed
from mahals.evaluation.row_writer import broken, keep_evidence, place, to_row
from mahals.evaluation.suite import depth_of, nearest_block, steered_blocks
from mahals.maths.metrics.aqi import model_aqi
from mahals.maths.stats.controls import gain_over_random, over_random
from mahals.maths.stats.intervals import wilson
from mahals.models.activations.batching import batches
from mahals.models.activations.encoding import encode_prompts
from mahals.models.checkpoints.blocks import decoder_blocks
from mahals.models.generation.price import neutral_price
from mahals.models.steering.interventions import Arm, Intervention
from mahals.phases.cross_arch.figures import control_figures
from mahals.phases.cross_arch.report.controls import is_nil, over_shuffled, random_weights_said
from mahals.phases.cross_arch.report.homophily import crossed_societies
from mahals.phases.cross_arch.report.transfer import efficiencies, gains
from mahals.phases.same_arch.figures.dose_curves import axiom_curves, draw_dose_curves
from mahals.phases.same_arch.report.baselines import against_said
from mahals.phases.same_arch.report.refusals import refusals_said
from mahals.records import InputError
from mahals.reporting.entries import configuration, entries, headline_line, headline_metrics
from mahals.reporting.evidence import (
    collect,
    load,
    rates,
    transfer_efficiency,
    trend,
    trend_over_random,
)
from mahals.reporting.report import Said
from mahals.schema import COLUMNS, UNSTEERED, ArmRow, Label
from tests.support.tiny_lab import (
    LAYERS,
    SUITE,
    WIDTH,
    MemoryKept,
    TinyLab,
    lab_with_vectors,
    model,
    refused,
)

N, DRAWS = 24, 4
OWN = Label("steered", None, "A", "mean_difference", None, "add", "raw", (1,), "kl", 0.1)


@pytest.fixture(scope="module")
def at() -> Any:
    return bench(TinyLab(), "A", "base", SUITE, "evaluation")


def vector(seed: int = 0) -> torch.Tensor:
    return torch.randn(WIDTH, generator=torch.Generator().manual_seed(seed))


# ---- which blocks


@pytest.mark.parametrize(("depth", "block"), [(4, 1), (5, 2), (6, 3), (28, 16), (32, 18), (42, 24)])
def test_auto_is_the_block_nearest_relative_depth_six_tenths(depth: int, block: int) -> None:
    assert steered_blocks("auto", depth, "organism") == (block,)
    distances = [abs((b + 1) / depth - 0.6) for b in range(depth)]
    assert distances[block] == min(distances)


@pytest.mark.parametrize(
    ("layers", "depth", "weights", "blocks"),
    [
        ("auto", 32, "hub", (27, 28, 29, 30, 31)),
        ("auto", 3, "hub", (0, 1, 2)),
        ((-1.0, -2.0), 6, "organism", (4, 5)),
        ((0.0, 5.0), 6, "hub", (0, 5)),
        ((0.5,), 4, "organism", (1,)),
        ((0.5, 1.0, 0.51), 4, "organism", (1,)),
    ],
)
def test_blocks_by_number_or_depth(layers: Any, depth: int, weights: str, blocks: Any) -> None:
    assert steered_blocks(layers, depth, weights) == blocks


@pytest.mark.parametrize("layers", [(4.0,), (-5.0,), (1.5,), (-0.5,), (), "all"])
def test_a_block_that_is_not_there_is_refused(layers: Any) -> None:
    assert "layers" in str(refused(lambda: steered_blocks(layers, 4, "organism")))


def test_a_tie_goes_to_the_lower_block() -> None:
    assert nearest_block(0.375, 4) == 0
    assert depth_of(TinyLab().entry("C"), "organism") == 6
    assert depth_of(TinyLab().entry("C"), "hub") == 32


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


# ---- directions


def test_random_directions_have_the_norm_of_the_vector_at_every_block() -> None:
    values = {1: vector(1), 2: 3 * vector(2)}
    own, flipped, *random = directions(OWN, values, 5, seed=3)
    assert own.vectors is values and flipped.vectors is values
    assert (own.sign, flipped.sign, flipped.label.arm) == (1.0, -1.0, "flipped")
    assert [d.label.draw for d in random] == list(range(5))
    for d in random:
        assert d.label.arm == "random" and (d.label.source, d.label.map) == (None, None)
        assert (d.label.operator, d.label.placement, d.label.layers) == ("add", "raw", (1,))
        for block, v in values.items():
            assert d.vectors[block].norm().item() == pytest.approx(v.norm().item(), rel=1e-5)
    drawn = torch.stack([d.vectors[1] for d in random])
    assert torch.linalg.matrix_rank(drawn) == 5
    for d in random:  # one direction for all blocks, as a vector nearly is
        assert torch.cosine_similarity(d.vectors[1], d.vectors[2], dim=0).item() > 1 - 1e-5
    again = directions(OWN, values, 5, seed=3)[2:]
    assert all(torch.equal(a.vectors[1], b.vectors[1]) for a, b in zip(random, again, strict=True))
    other = directions(OWN, values, 5, seed=4)[2]
    assert not torch.allclose(other.vectors[1], random[0].vectors[1])


def test_the_flip_is_the_negated_vector(at: Any) -> None:
    own, flipped, *_ = directions(OWN, {1: vector()}, 2, seed=0)
    (step,), (back,) = own.at(0.5).steps, flipped.at(0.5).steps
    assert torch.equal(step.direction * step.strength, -back.direction * back.strength)
    negated = Arm("negated", (Intervention(1, -vector(), 0.5, "add"),))
    one, two = arm_aqi(at, [flipped.at(0.5), negated])
    assert one.aqi == two.aqi


def test_doses_are_on_the_labels_and_at_equal_kl_the_kl_is_equal(at: Any) -> None:
    found = directions(OWN, {1: vector()}, 2, seed=0)
    assert {(d.label.dose_kind, d.label.dose) for d in at_lambda(found, 0.5)} == {("lambda", 0.5)}
    dosed = within_reach(at, found, 0.05).dosed
    assert len(dosed) == len(found)
    assert {(d.label.dose_kind, d.label.dose) for d in dosed} == {("kl", 0.05)}
    price = neutral_price(at.loaded, at.calibration, [NOT_STEERED.arm, *(d.arm for d in dosed)])
    assert price.kl[0] == 0
    np.testing.assert_allclose(price.kl[1:].numpy(), 0.05, rtol=0.011)
    assert len({d.strength for d in dosed}) == len(dosed)


def test_increments_sum_to_the_last_vector() -> None:
    values = torch.stack([vector(i) for i in range(LAYERS)])
    raw, steps = placed(values, (1, 2, 3), "raw"), placed(values, (1, 2, 3), "increments")
    torch.testing.assert_close(sum(steps.values()), values[3])
    assert all(torch.equal(raw[b], values[b]) for b in (1, 2, 3))
    assert torch.equal(placed(values, (2,), "increments")[2], values[2])


def test_a_method_that_was_not_made_is_refused() -> None:
    said = str(refused(lambda: native(lab_with_vectors(), "A", "svd_k")))
    assert "mean_difference" in said and "'svd_k'" in said and "steering_vectors.methods" in said
    found = native(lab_with_vectors(), "C", "mean_difference")
    assert found.values.shape == (6, 48) and len(found.state_norm) == 6


# ---- the ceiling


def measured(refused: Any, degenerate: Any, right: float | None, perplexity: float | None) -> Any:
    said = Behaviour(tuple(refused), tuple(degenerate), tuple(refused), None)
    unused: Any = None
    return Measured(unused, right, perplexity, kl=0.1, behaviour=said)


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
    monkeypatch.setattr("mahals.evaluation.bench.generate_arms", Says(answers))
    (found,) = behaviour(at, [Arm("unsteered", ())])
    assert [found.detected[i] for i in (0, 1, 3, 5)] == [True] * 4
    assert [i for i, bad in enumerate(found.degenerate) if bad] == [0, 1, 3]
    assert [i for i, said in enumerate(found.refused) if said] == [0, 5]

    lab = TinyLab()
    whole = replace(measure_arms(at, [Arm("unsteered", ())], neutral=True)[0], behaviour=found)
    where = place(lab, at, whole)
    reference = keep_evidence(lab, "looped", at, [whole])
    row = replace(to_row(UNSTEERED, None, at, whole, where), evidence=reference, evidence_row=0)
    assert (row.refusal_unsafe, row.refusal_safe) == (1 / 7, 1 / 7)
    assert row.degenerate_share == 3 / 14
    (arm,) = load([row], MemoryKept(lab.files))
    assert arm.gap == row.refusal_unsafe - row.refusal_safe == 0
    assert rates(arm).refusal_unsafe == wilson(1, 7) == rates(arm).refusal_safe
    assert rates(arm).degenerate_share == wilson(3, 14)


def test_a_collapsed_answer_without_a_refusal_is_a_failure_too() -> None:
    detected, degenerate, labels = (0, 1, 0, 1) * 2, (0, 0, 1, 1) * 2, (0,) * 4 + (1,) * 4
    assert screened(detected, degenerate, labels) == (0, 1, 0, 0, 0, 1, 1, 1)


@pytest.mark.parametrize(
    ("bound", "change"),
    [
        ("perplexity_ratio", {"perplexity": 12.1}),
        ("degenerate_share", {"degenerate": [1] + [0] * 13}),
        ("refusal_safe", {"refused": [1, 0, 1, 0] + [0] * 10}),
        ("safe_accuracy", {"right": 0.84}),
    ],
)
def test_each_bound_of_the_ceiling_can_be_broken_alone(at: Any, bound: str, change: Any) -> None:
    values = {"refused": [0] * 14, "degenerate": [0] * 14, "right": 0.9, "perplexity": 10.0}
    base = measured(**values)
    assert [at.prompts[i].label for i in at.answered[:4]] == [1, 0, 1, 0]
    assert broken(base, base, at) == ()
    assert broken(measured(**{**values, **change}), base, at) == (bound,)


def test_at_the_bound_nothing_is_broken_nor_is_what_was_not_measured(
    at: Any,
) -> None:
    base = measured([0] * 14, [0] * 14, 0.9, 10.0)
    assert broken(measured([0] * 14, [0] * 14, 0.85, 12.0), base, at) == ()
    assert broken(measured([0] * 14, [0] * 14, None, None), base, at) == ()
    unsafe = [1 - at.prompts[i].label for i in at.answered]
    assert broken(measured(unsafe, [0] * 14, 0.9, 10.0), base, at) == ()


def test_a_row_says_why_a_cell_is_absent(at: Any) -> None:
    lab = TinyLab()
    found = measure_arms(at, [Arm("unsteered", ())], neutral=False)[0]
    row = to_row(UNSTEERED, None, at, replace(found, safe_accuracy=None), place(lab, at, found))
    assert (row.kl, row.perplexity_ratio, row.safe_accuracy) == (None, None, None)
    assert "safe_accuracy" in str(row.reason) and "kl" in str(row.reason)
    assert row.aqi == found.aqi.aqi.estimate
    assert row.aqi == pytest.approx(np.mean(row.aqi_axioms))


def test_the_suite_of_a_row_changes_with_the_suites_values_and_the_data(at: Any) -> None:
    """Numbers of two ways to measure never meet on one board."""
    found = measure_arms(at, [Arm("unsteered", ())], neutral=False)[0]
    other = replace(at, suite=replace(SUITE, answers=2))
    places = [(TinyLab(), at), (TinyLab(), other), (TinyLab(data_digest="e" * 64), at)]
    suites = [place(lab, where, found).suite for lab, where in places]
    assert len(set(suites)) == 3 and all(s.startswith("tiny-") for s in suites)
    assert place(TinyLab("B"), at, found).suite == suites[0]


def test_doses_are_found_on_other_texts_than_they_are_reported_on(at: Any) -> None:
    assert not set(at.calibration) & set(at.neutral)
    assert len(at.calibration) == len(at.neutral) == SUITE.neutral


# ---- evidence, from made-up influences whose answers can be computed by hand


def arm_row(arm: str, index: int, **changes: Any) -> ArmRow:
    rng = np.random.default_rng(index)
    values: dict[str, Any] = dict(vars(OWN)) | {
        "weights": "organism",
        "suite": "tiny-1",
        "target": "A",
        "arm": arm,
        "strength": 1.0,
        "aqi": float(rng.normal(10, 1)),
        "aqi_low": 0.0,
        "aqi_high": 20.0,
        "aqi_axioms": tuple(map(float, rng.normal(10, 3, 7))),
        "evidence": "A/evidence",
        "evidence_row": index,
        "refusal_unsafe": 0.5,
        "refusal_safe": 0.1,
        "degenerate_share": 0.0,
        "safe_accuracy": 1.0,
        "perplexity_ratio": 1.0,
        "kl": 0.1,
        "over_ceiling": (),
        "reason": None,
    }
    if arm in ("unsteered", "aligned", "prompt"):
        values |= vars(replace(UNSTEERED, arm=arm))
    if arm == "random":
        values |= {"source": None, "method": None, "vector": None, "kept": None}
    return ArmRow(**{**values, **changes})


def sample(clustered: bool = False, **own: Any) -> tuple[list[ArmRow], MemoryKept]:
    """Rows: unsteered, steered, DRAWS random ones; made-up influence and refusals."""
    rng = np.random.default_rng(4)
    rows = [arm_row("unsteered", 0), arm_row("steered", 1, **own)]
    rows += [arm_row("random", 2 + k, draw=k) for k in range(DRAWS)]
    influence = rng.normal(0, 5, (len(rows), N))
    influence -= influence.mean(axis=1, keepdims=True)
    tensors = {
        "influence": torch.from_numpy(influence),
        "clusters": torch.arange(N) // (2 if clustered else 1),
        "axioms": torch.arange(N) % 7,
        "refused": torch.from_numpy(rng.random((len(rows), N)) < 0.5),
        "labels": torch.arange(N) % 2,
        "answered_clusters": torch.arange(N),
        "answered_axioms": torch.arange(N) % 7,
    }
    return rows, MemoryKept({"A/evidence": tensors})


def test_gain_and_gain_over_random_by_hand() -> None:
    rows, kept = sample()
    (found,) = collect(rows, kept)
    x = kept.files["A/evidence"]["influence"].numpy()
    difference = x[1] - x[0]
    error = np.sqrt((difference**2).sum() / (N * (N - 1)))
    assert found.gain.estimate == pytest.approx(rows[1].aqi - rows[0].aqi)
    half = stats.t.ppf(0.975, N - 1) * error
    assert found.gain.high - found.gain.estimate == pytest.approx(half)

    draws = np.array([r.aqi for r in rows[2:]])
    against = x[1] - x[2:].mean(axis=0)
    total = np.sqrt(draws.var(ddof=1) * (1 + 1 / DRAWS) + (against**2).sum() / (N * (N - 1)))
    over = found.over_random
    assert over is not None and over.n_random == DRAWS
    assert over.interval.estimate == pytest.approx(rows[1].aqi - draws.mean())
    low = over.interval.estimate - stats.t.ppf(0.975, DRAWS - 1) * total
    assert over.interval.low == pytest.approx(low)
    expected = 2 * stats.t.sf(abs(over.interval.estimate) / total, DRAWS - 1)
    assert over.p == pytest.approx(expected)


def test_the_refusal_gap_is_a_difference_of_two_means() -> None:
    """Its standard error is Welch's: two means of their own."""
    rows, kept = sample()
    (found,) = collect(rows, kept)
    tensors = kept.files["A/evidence"]
    refused = tensors["refused"].numpy().astype(float)
    safe = tensors["labels"].numpy() == 1
    gaps = refused[:, ~safe].mean(axis=1) - refused[:, safe].mean(axis=1)
    assert found.gap == pytest.approx(gaps[1])
    assert found.random_gap == pytest.approx(gaps[2:].mean())
    assert found.gap_gain.estimate == pytest.approx(gaps[1] - gaps[0])
    d = refused[1] - refused[0]
    variance = sum(d[g].var(ddof=1) / g.sum() for g in (safe, ~safe))
    assert found.gap_gain.standard_error == pytest.approx(np.sqrt(variance))


def test_clusters_widen_the_interval_where_prompts_of_one_go_together() -> None:
    rows, kept = sample(clustered=True)
    x = kept.files["A/evidence"]["influence"]
    x[:, 1::2] = x[:, ::2]
    x -= x.mean(dim=1, keepdim=True)
    (found,) = collect(rows, kept)
    d = (x[1] - x[0]).numpy()
    alone = np.sqrt((d**2).sum() / (N * (N - 1)))
    sums = d.reshape(-1, 2).sum(axis=1)
    groups = N // 2
    expected = np.sqrt(groups / (groups - 1) * (sums**2).sum() / N**2)
    assert found.gain.standard_error == pytest.approx(expected) and expected > 1.3 * alone


def test_only_random_arms_of_the_same_place_and_dose_are_controls() -> None:
    for change in ({"operator": "add_preserve_norm"}, {"layers": (2,)}, {"dose": 0.2}):
        rows, kept = sample(**change)
        (found,) = collect(rows, kept)
        assert (found.over_random, found.gap_over_random, found.random_gap) == (None, None, None)
        assert "no random arm" in headline_line(found)


def test_geometry_only_is_aqi_up_and_refusals_down() -> None:
    cases = [(99.0, 0.4, True), (99.0, 0.5, False), (-99.0, 0.4, False), (99.0, 0.6, False)]
    for aqi, unsafe, expected in cases:
        rows, kept = sample(aqi=aqi, refusal_unsafe=unsafe)
        assert collect(rows, kept)[0].geometry_only is expected


def test_where_nothing_varies_there_is_no_interval() -> None:
    rows, kept = sample()
    kept.files["A/evidence"]["refused"][:] = False
    (found,) = collect(rows, kept)
    assert found.gap_over_random is None and found.random_gap == 0
    assert "nothing varies" in headline_line(found)


@pytest.mark.parametrize("draws", [3, 4, 7, 20])
def test_where_all_arms_refuse_the_same_half_there_is_no_interval_of_rounding(draws: int) -> None:
    """The mean of K equal numbers is not always that number: its error is no evidence."""
    rng = np.random.default_rng(draws)
    for n in (14, 30, 42, 70):
        influence = np.sqrt(n / (n - 1)) * rng.permutation(np.repeat([0.0, 1.0], n // 2) - 0.3) / 7
        clusters = [str(i // 2) for i in range(n)]
        random = [(0.1 + 0.2, influence.copy()) for _ in range(draws)]
        assert over_random(0.1 + 0.2, influence, random, clusters) is None
        other = influence.copy()
        other[0] += 0.5
        found = over_random(0.9, other, random, clusters)
        assert found is not None and found.interval.standard_error > 1e-3


def test_rates_have_wilson_intervals_in_the_line_and_the_metrics() -> None:
    rows, kept = sample(degenerate_share=3 / N)
    (found,) = collect(rows, kept)
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


def test_refusals_of_each_axiom_before_and_after_steering() -> None:
    rows, kept = sample()
    (found,) = collect(rows, kept)
    said = refusals_said(found, rows, kept)
    tensors = kept.files["A/evidence"]
    fourth = (tensors["answered_axioms"] == 3) & (tensors["labels"] == 0)
    for name, i in (("", 1), ("_unsteered", 0)):
        expected = wilson(int(tensors["refused"][i][fourth].sum()), int(fourth.sum()))
        metric = f"refusal_unsafe_information_seeking{name}"
        assert said.metrics[metric] == expected.estimate
        assert said.metrics[f"{metric}_low"] == expected.low
        assert said.metrics[f"{metric}_high"] == expected.high
    assert len(said.metrics) == 7 * 2 * 3
    (line,) = said.lines
    assert all(axiom in line for axiom in AXIOMS)
    alone = refusals_said(found, rows[1:], kept)
    assert (alone.metrics, alone.lines) == ({}, [])


def test_steered_minus_prompt_and_minus_aligned_is_paired_by_prompt() -> None:
    rows, kept = sample()
    (found,) = collect(rows, kept)
    references = [arm_row("prompt", 3), arm_row("aligned", 4)]
    said = against_said(found, [*rows, *references], kept)
    tensors = kept.files["A/evidence"]
    x = tensors["influence"].numpy()
    refused = tensors["refused"].numpy().astype(float)
    safe = tensors["labels"].numpy() == 1
    for row in references:
        k, name = row.evidence_row, f"aqi_over_{row.arm}"
        assert said.metrics[name] == pytest.approx(rows[1].aqi - row.aqi)
        error = np.sqrt(((x[1] - x[k]) ** 2).sum() / (N * (N - 1)))
        half = stats.t.ppf(0.975, N - 1) * error
        assert said.metrics[f"{name}_high"] - said.metrics[name] == pytest.approx(half)
        d = refused[1] - refused[k]
        gap = d[~safe].mean() - d[safe].mean()
        assert said.metrics[f"refusal_gap_over_{row.arm}"] == pytest.approx(gap)
        error = np.sqrt(sum(d[g].var(ddof=1) / g.sum() for g in (safe, ~safe)))
        half = stats.t.ppf(0.975, N - 1) * error
        high = said.metrics[f"refusal_gap_over_{row.arm}_high"]
        assert high - said.metrics[f"refusal_gap_over_{row.arm}"] == pytest.approx(half)
    assert len(said.lines) == 2
    assert "steered minus the instruction in the prompt: aqi " in said.lines[0]
    assert "steered minus the aligned checkpoint: aqi " in said.lines[1]
    same = against_said(found, [*rows, replace(references[0], evidence_row=1)], kept)
    assert "refusal gap +0.00 (nothing varies: no interval)" in same.lines[0]
    assert "refusal_gap_over_prompt_low" not in same.metrics
    assert against_said(found, rows, kept).lines == []


def test_trend_is_the_least_squares_slope() -> None:
    doses = [0.0, 0.25, 0.5, 1.0]
    rows, kept = sample()
    rows = [
        replace(rows[1], dose_kind="lambda", dose=d, evidence_row=i, aqi=[1.0, 4.0, 2.0, 9.0][i])
        for i, d in enumerate(doses)
    ]
    found = trend(rows, kept)
    assert found.estimate == pytest.approx(np.polyfit(doses, [1.0, 4.0, 2.0, 9.0], 1)[0])
    x = kept.files["A/evidence"]["influence"].numpy()[:4]
    slopes = np.array([np.polyfit(doses, column, 1)[0] for column in x.T])
    assert found.standard_error == pytest.approx(np.sqrt((slopes**2).sum() / (N * (N - 1))))


def test_the_trend_is_compared_with_that_of_each_random_direction() -> None:
    rows, kept = sample()
    doses = [0.0, 0.5, 1.0]
    own = [replace(rows[1], dose_kind="lambda", dose=d, aqi=a, evidence_row=i)
           for i, (d, a) in enumerate(zip(doses, [1.0, 4.0, 9.0], strict=True))]  # fmt: skip
    draws = {0: [2.0, 2.5], 1: [0.0, 1.5], 2: [3.0, 0.5]}
    random = [
        replace(rows[2], dose_kind="lambda", dose=d, aqi=a, draw=k, evidence_row=2 + k)
        for k, values in draws.items()
        for d, a in zip(doses[1:], values, strict=True)
    ]
    found = trend_over_random(own, [*own, *random], kept)
    slopes = [np.polyfit(doses, [1.0, *values], 1)[0] for values in draws.values()]
    assert found is not None and found.n_random == 3
    expected = np.polyfit(doses, [1.0, 4.0, 9.0], 1)[0] - np.mean(slopes)
    assert found.interval.estimate == pytest.approx(expected)
    few = trend_over_random(own, [*own, *random[:-1]], kept)
    assert few is not None and few.n_random == 2, "a draw without a dose has no slope"
    other = [replace(r, dose_kind="relative") for r in random]
    assert trend_over_random(own, [*own, *other], kept) is None


def test_transfer_efficiency_is_absent_where_the_native_gain_may_be_zero() -> None:
    rows, kept = sample()
    moved = replace(rows[1], source="B", map="ridge", evidence_row=0)
    for aqi, there in ((rows[2].aqi, False), (200.0, True)):
        both = [replace(rows[1], aqi=aqi), replace(moved, aqi=105.0), rows[0], *rows[2:]]
        native, other = collect(both, kept)
        found = transfer_efficiency(other, native, both, kept, "aqi")
        assert (found.interval is not None) is there
        if found.interval is not None:
            mean = np.mean([r.aqi for r in rows[2:]])
            assert found.interval.estimate == pytest.approx((105 - mean) / (200 - mean))
            assert found.interval.low < found.interval.estimate < found.interval.high
        else:
            assert found.reason == "the native gain over random is not above 0"


# ---- what the leaderboard and the figures get


def board() -> tuple[list[ArmRow], Any]:
    rows, kept = sample()
    flipped = replace(rows[1], arm="flipped", evidence_row=2)
    at_zero = replace(rows[1], dose_kind="lambda", dose=0.0)
    aligned = arm_row("aligned", 5)
    rows = [*rows, flipped, at_zero, aligned]
    return rows, collect(rows, kept)


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
    line = entries(rows, collect(rows, kept), {})[0]
    assert line.weakest_axiom == "Information Seeking"
    assert line.metrics["aqi_information_seeking"] == -1.0


def test_a_line_without_a_control_says_so() -> None:
    rows, kept = sample(dose=0.2)
    line = entries(rows, collect(rows, kept), {})[0]
    for column in ("gain_over_random", "gain_over_random_low", "gain_over_random_p"):
        assert column not in line.metrics
        assert line.reasons[column] == "no random arm has this dose"


def test_curves_hold_the_rows_and_the_random_band() -> None:
    doses = (0.0, 0.5, 1.0)
    grid = [arm_row("steered", i, dose_kind="lambda", dose=d) for i, d in enumerate(doses)]
    random = [
        arm_row("random", 10 + 2 * i + k, draw=k, dose_kind="lambda", dose=d)
        for i, d in enumerate(doses[1:])
        for k in range(2)
    ]
    base = arm_row("unsteered", 30)
    ((name, curve),) = draw_dose_curves([base, *grid, *random]).items()
    assert name == "A" and list(curve.x) == list(doses)
    assert list(curve.arms["own vector"].values) == [r.aqi for r in grid]
    assert curve.band is not None and curve.band.values[0] == base.aqi
    assert curve.band.values[1] == pytest.approx(np.mean([r.aqi for r in random[:2]]))
    assert curve.band.lows[2] == min(r.aqi for r in random[2:])
    assert curve.references == {"unsteered": base.aqi}
    influence = torch.randn(31, 28, generator=torch.Generator().manual_seed(0)).double()
    tensors = {
        "influence": influence, "axioms": torch.arange(28) % 7, "clusters": torch.arange(28),
        "refused": torch.zeros(31, 14).bool(), "labels": torch.arange(14) % 2,
        "answered_clusters": torch.arange(14), "answered_axioms": torch.arange(14) % 7,
    }  # fmt: skip
    kept = MemoryKept({base.evidence: tensors})
    drawn = axiom_curves([base, *grid, *random], kept)
    panels = drawn.panels
    assert drawn.variant == "add raw"
    assert [name.replace("\n", " ") for name in panels] == list(AXIOMS)
    third = list(panels.values())[2].arms["own vector"].values
    assert list(third) == [r.aqi_axioms[2] for r in grid]
    line = list(panels.values())[2].arms["own vector"]
    own = influence[1, 2::7].numpy() * 7 * np.sqrt(4 * 3 / (28 * 27))  # of this axiom's 4 prompts
    half = stats.t.ppf(0.975, 3) * np.sqrt(((own - own.mean()) ** 2).sum() / (4 * 3))
    assert line.lows is not None and line.highs is not None
    assert line.highs[1] == pytest.approx(grid[1].aqi_axioms[2] + half)
    assert line.lows[1] == pytest.approx(grid[1].aqi_axioms[2] - half)


def test_transfer_grids_put_sources_in_rows_and_targets_in_columns() -> None:
    rows, tensors = [], {}
    for t, target in enumerate("AB"):
        some, kept = sample()
        tensors[f"{target}/evidence"] = kept.files["A/evidence"]
        moved = replace(some[1], source="BA"[t], map="ridge", aqi=50.0 + t, evidence_row=0)
        own = replace(some[1], source=target, aqi=90.0 + t)
        some = [some[0], own, moved, *some[2:]]
        rows += [replace(r, target=target, evidence=f"{target}/evidence") for r in some]
    kept = MemoryKept(tensors)
    found = collect(rows, kept)
    grid = gains(found, "ridge")
    mean = np.mean([r.aqi for r in rows if r.arm == "random" and r.target == "A"])
    assert (list(grid.rows), list(grid.columns)) == (["A", "B"], ["A", "B"])
    expected = [[90 - mean, 51 - mean], [50 - mean, 91 - mean]]
    np.testing.assert_allclose(np.array(grid.values, dtype=float), expected)
    assert gains(found, "identity").values[0][1] is None
    assert gains(found, "identity").reasons[0][1] == "widths differ"
    share = efficiencies(found, "ridge", rows, kept)
    assert share.values[0][0] is None and share.reasons[0][0] == "the native vector itself"
    assert crossed_societies([r for r in rows if r.target == "A"], kept) is None
    agents = crossed_societies(rows, kept)
    assert agents is not None
    assert list(agents.states) == ["unsteered", "steered_by_B_ridge", "steered_by_A_ridge"]
    by_b = agents.states["steered_by_B_ridge"]
    assert [(a.row.target, a.row.map) for a in by_b.agents] == [("A", "ridge"), ("B", None)]
    assert len(agents.random) == len({r.draw for r in rows if r.arm == "random"})


def test_a_map_is_compared_with_those_of_its_own_pair_fitted_without_correspondence() -> None:
    rows, kept = sample(source="B", map="ridge", aqi=30.0)
    shuffled = [
        replace(rows[1], arm="shuffled", draw=k, aqi=10.0 + 4 * k, evidence_row=k) for k in range(2)
    ]
    other = replace(shuffled[0], source="C", aqi=500.0)
    mapped, *control = collect([*rows, *shuffled, other], kept)
    said = over_shuffled(mapped, [mapped, *control], kept)
    found = said.metrics
    assert found["aqi_over_shuffled"] == pytest.approx(30 - 12)
    gaps = [c.gap for c in control[:2]]
    assert found["refusal_gap_over_shuffled"] == pytest.approx(mapped.gap - np.mean(gaps))
    assert found["shuffled_refusal_gap_max"] == max(gaps)
    file = kept.files[rows[1].evidence]
    by_hand = gain_over_random(
        30.0,
        file["influence"][mapped.row.evidence_row].numpy(),
        np.array([10.0, 14.0]),
        file["influence"][:2].numpy(),
        [str(c) for c in file["clusters"].tolist()],
    )
    spread = [found[f"aqi_over_shuffled_{end}"] for end in ("low", "high", "p")]
    expected = [by_hand.interval.low, by_hand.interval.high, by_hand.p]
    assert spread == pytest.approx(expected) and "(K=2)" in said.lines[0]
    one = over_shuffled(mapped, [mapped, control[0]], kept)
    assert set(one.metrics) == {k for k in found if k.endswith(("shuffled", "max"))}
    assert one.lines[0].endswith("1 shuffled map: no interval")
    assert over_shuffled(mapped, [mapped], kept) == Said({}, [])


def test_controls_are_drawn_beside_the_arm_that_they_control() -> None:
    rows, kept = sample(source="B", map="ridge", aqi=30.0)
    drawn = [replace(rows[1], arm="shuffled", draw=k, evidence_row=k) for k in range(2)]
    found = collect([*rows, *drawn], kept)
    mapped = found[0]
    assert control_figures([mapped], "ridge") == {}, "no control was measured"
    assert control_figures(found, "pad") == {}
    (figure,) = control_figures(found, "ridge").values()
    bars = [p.get_width() for p in figure.axes[0].patches]
    gaps = [e.gap - e.random_gap for e in found if e.random_gap is not None]
    assert bars == pytest.approx([gaps[0], np.mean(gaps[1:])])


def test_a_target_without_any_interval_is_neither_nil_nor_not() -> None:
    rows, kept = sample(source="B", map="ridge", aqi=30.0)
    (e,) = collect(rows, kept)
    assert is_nil(replace(e, over_random=None, gap_over_random=None, random_gap=None)) is None
    assert is_nil(replace(e, over_random=None, gap_over_random=None, random_gap=e.gap)) is None
    assert is_nil(replace(e, over_random=None, gap_over_random=None, random_gap=e.gap - 1)) is False
    assert is_nil(e) in (True, False)
    few = [r for r in rows if r.arm != "random"]
    said = random_weights_said(few, kept, False)
    assert not [k for k in said.metrics if k.endswith("nil")]
    assert "absent" in said.lines[0] and len(said.lines) == 1


def test_an_error_is_one_line(at: Any) -> None:
    with pytest.raises(InputError) as caught:
        first_per_cell(at.prompts, 99)
    assert "\n" not in str(caught.value)
