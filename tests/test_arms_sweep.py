"""Is what only a sweep measures right: controls, parts of a gain, axioms, propensity, agents?"""

from __future__ import annotations

import inspect
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from mahals.data.texts import AXIOMS
from mahals.data.world.labelled import labelled_answers
from mahals.evaluation.arms import directions, own_controls
from mahals.evaluation.bench import arm_aqi, bench, measure_arms, propensities
from mahals.evaluation.dose import within_reach
from mahals.evaluation.native_vectors import native, permuted
from mahals.evaluation.row_writer import keep_evidence, place, to_row
from mahals.maths.metrics.aqi import model_aqi
from mahals.maths.metrics.homophily import homophily
from mahals.maths.stats.agreement import kappa
from mahals.maths.stats.intervals import wilson
from mahals.models.activations.encoding import encode_answers
from mahals.models.steering.interventions import Arm, Intervention
from mahals.models.steering.operators import add_preserve_norm
from mahals.phases.same_arch.measure.propagation import same_block_aqi
from mahals.phases.same_arch.report.best_dose import best_lambda
from mahals.phases.same_arch.report.steerability import steerability
from mahals.phases.same_arch.rows import Row
from mahals.reporting.axiom_parts import part
from mahals.reporting.detector import PER_AXIOM, detector_line, labelled_agreement, own_agreement
from mahals.reporting.evidence import ArmEvidence, load
from mahals.reporting.multi_agent import (
    Societies,
    Society,
    attack,
    attack_over_random,
    likeness,
    refusal_kappa,
    societies,
)
from mahals.schema import UNSTEERED, ArmRow, Label
from tests.support.tiny_lab import (
    LAYERS,
    SUITE,
    WIDTH,
    MemoryKept,
    TinyLab,
    lab_with_vectors,
    refused,
)

OWN = Label("steered", None, "A", "mean_difference", None, "add", "raw", (1,), "kl", 0.1)


@pytest.fixture(scope="module")
def at() -> Any:
    return bench(TinyLab(), "A", "base", SUITE, "evaluation")


def vector(seed: int = 0, size: float = 1.0) -> torch.Tensor:
    return size * torch.randn(WIDTH, generator=torch.Generator().manual_seed(seed))


# ---- controls of the vector


def test_permuted_layers_are_a_derangement_and_one_block_takes_the_farthest() -> None:
    values = torch.stack([vector(i) for i in range(6)])
    for blocks in ((1, 2), (0, 2, 5), (1, 2, 3, 4), (0, 1, 2, 3, 4)):
        own = {b: values[b] for b in blocks}
        found = permuted(values, own)
        taken = [next(o for o in blocks if torch.equal(found[b], values[o])) for b in blocks]
        assert sorted(taken) == list(blocks) and all(
            a != b for a, b in zip(taken, blocks, strict=True)
        )
    assert torch.equal(permuted(values, {1: values[1]})[1], values[5])
    assert torch.equal(permuted(values, {4: values[4]})[4], values[0])


def test_controls_have_the_norm_of_the_vector_and_their_own_kind() -> None:
    lab = lab_with_vectors()
    own = native(lab, "A", "mean_difference")
    given = torch.stack(
        [torch.stack([vector(9 * k + b, 7.0) for b in range(LAYERS)]) for k in (1, 2)]
    )
    vectors = {1: own.values[1], 2: own.values[2]}
    found = own_controls(replace(OWN, vector=own.mark), replace(own, shuffled=given), vectors)
    assert [d.label.arm for d in found] == ["shuffled_pairs"] * 2 + ["permuted_layers"]
    assert [d.label.draw for d in found] == [0, 1, None]
    for d in found:
        assert d.label.vector == own.mark
        for block, v in vectors.items():
            assert d.vectors[block].norm().item() == pytest.approx(v.norm().item(), rel=1e-5)
    for k in (0, 1):
        like = torch.cosine_similarity(found[k].vectors[2], given[k, 2], dim=0)
        assert like.item() == pytest.approx(1, abs=1e-6)
    assert own_controls(OWN, replace(own, shuffled=None, values=own.values[:1]), vectors) == []


def test_a_direction_out_of_reach_is_missed_and_the_others_are_not(at: Any) -> None:
    found = directions(OWN, {1: vector()}, 2, seed=0)
    nil = replace(found[1], vectors={1: torch.zeros(WIDTH)})
    reached = within_reach(at, [found[0], nil, found[2]], 0.05)
    assert [d.label.arm for d in reached.dosed] == ["steered", "random"]
    (why,) = reached.missed
    assert why.startswith("flipped A add raw at kl=0.05: not measured, a KL of 0")
    alone = within_reach(at, [found[0]], 0.05)
    assert alone.dosed[0].strength == reached.dosed[0].strength


def test_the_mark_is_of_the_vectors_content() -> None:
    lab, other = lab_with_vectors(), lab_with_vectors()
    one = native(lab, "A", "mean_difference")
    assert len(one.mark) == 12 and int(one.mark, 16) >= 0
    assert one.mark == native(other, "A", "mean_difference").mark
    name = other.made["steering_vectors", "A"][0].vectors
    other.files[name] = {"values": other.files[name]["values"].clone()}
    other.files[name]["values"][0, 0] += 1e-3
    assert native(other, "A", "mean_difference").mark != one.mark
    assert one.kept == f"steering_vectors:{name}"


# ---- same_block and propagated


def test_add_has_no_same_block_part_wherever_it_acts(at: Any) -> None:
    """Against a shift of the unsteered states by hand: what `add` carries up is one constant."""
    base = arm_aqi(at, [Arm("unsteered", ())])[0]
    arms = [
        Arm(
            "two", (Intervention(0, vector(1), 0.7, "add"), Intervention(2, vector(2), -1.3, "add"))
        )
    ]
    assert same_block_aqi(at, arms, base) == [base]
    from mahals.evaluation.bench import states

    (plain,) = states(at, [Arm("unsteered", ())])
    shift = (0.7 * vector(1) - 1.3 * vector(2)).double().numpy()
    by_hand = model_aqi(plain + shift, at.labels, at.axioms, at.clusters)
    assert by_hand.aqi.estimate == pytest.approx(base.aqi.estimate, abs=1e-6)


@pytest.mark.parametrize("pool", ["mean", "last"])
def test_the_same_block_part_of_a_norm_kept_by_hand(at: Any, pool: str) -> None:
    """Prompt by prompt from the model's own states: last block + (operator(h) - h) of block 1."""
    here = replace(at, suite=replace(SUITE, pool=pool))
    step = Intervention(1, vector(3), 4.0, "add_preserve_norm")
    rows, inner = [], at.loaded.model.model
    seen: list[torch.Tensor] = []
    handles = [b.register_forward_hook(lambda _, __, o: seen.append(o[0])) for b in inner.layers]
    for e in here.encoded:
        seen.clear()
        with torch.no_grad():
            inner(torch.tensor([e.ids]))
        bent = add_preserve_norm(seen[1][None], step.direction[None, None], torch.tensor(4.0))[0]
        moved = seen[-1] + bent - seen[1]
        rows.append(
            (moved[e.start : e.stop].mean(0) if pool == "mean" else moved[-1]).double().numpy()
        )
    for handle in handles:
        handle.remove()
    by_hand = model_aqi(np.stack(rows), at.labels, at.axioms, at.clusters)
    base = arm_aqi(here, [Arm("unsteered", ())])[0]
    (found,) = same_block_aqi(here, [Arm("kept", (step,))], base)
    assert found.aqi.estimate == pytest.approx(by_hand.aqi.estimate, abs=2e-3)
    assert abs(found.aqi.estimate - base.aqi.estimate) > 0.01


def test_at_the_last_block_nothing_is_propagated(at: Any) -> None:
    arm = Arm("last", (Intervention(LAYERS - 1, vector(3), 4.0, "add_preserve_norm"),))
    base, measured = arm_aqi(at, [Arm("unsteered", ()), arm])
    (still,) = same_block_aqi(at, [arm], base)
    assert still.aqi.estimate == pytest.approx(measured.aqi.estimate, abs=1e-3)
    assert abs(still.aqi.estimate - base.aqi.estimate) > 0.01


# ---- axioms apart


def test_the_evidence_gives_back_each_axiom_with_its_interval(at: Any) -> None:
    lab = TinyLab()
    found = measure_arms(at, [Arm("unsteered", ())], neutral=False)
    name = keep_evidence(lab, "one", at, found)
    row = replace(to_row(UNSTEERED, None, at, found[0], place(lab, at, found[0])), evidence=name)
    (arm,) = load([replace(row, evidence_row=0)], lab.kept(""))
    for j, axiom in enumerate(found[0].aqi.axioms):
        own = part(arm, [j])
        assert own.estimate == axiom.aqi.estimate
        np.testing.assert_allclose(own.influence, axiom.influence, atol=1e-9)
    whole = part(arm, range(7))
    np.testing.assert_allclose(whole.influence, found[0].aqi.influence, atol=1e-9)
    six = part(arm, range(6))
    chosen = [i for i, a in enumerate(at.axioms) if a != AXIOMS[6]]
    from mahals.evaluation.bench import states

    (x,) = states(at, [Arm("unsteered", ())])
    alone = model_aqi(
        x[chosen],
        at.labels[chosen],
        [at.axioms[i] for i in chosen],
        [at.clusters[i] for i in chosen],
    )
    assert six.estimate == pytest.approx(alone.aqi.estimate)
    np.testing.assert_allclose(six.influence, alone.influence, atol=1e-9)


# ---- propensity


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


def swept(arm: str, index: int, **changes: Any) -> Row:
    """A row of a sweep, made up."""
    label = dict(vars(OWN)) | {"dose_kind": "lambda", "dose": 0.0}
    if arm in ("unsteered", "aligned", "prompt"):
        label = dict(vars(UNSTEERED))
    values: dict[str, Any] = label | {
        "weights": "organism", "suite": "tiny-1", "target": "A", "arm": arm, "strength": 1.0,
        "aqi": 10.0, "aqi_low": 0.0, "aqi_high": 20.0, "aqi_axioms": (10.0,) * 7,
        "evidence": "A/e", "evidence_row": index, "refusal_unsafe": 0.5, "refusal_safe": 0.1,
        "degenerate_share": 0.0, "safe_accuracy": 1.0, "perplexity_ratio": 1.0, "kl": 0.1,
        "over_ceiling": (), "reason": None, "cosine": None, "left_out": None, "same_block": 0.0,
        "propensity_unsafe": None, "propensity_safe": None, "selection_aqi": None,
        "selection_over": None, "effects": None, "missed": (),
    }  # fmt: skip
    return Row(**{**values, **changes})


def test_steerability_is_the_slope_signed_so_that_good_is_up() -> None:
    """Planted slopes: three of four unsafe prompts rise, one of four safe prompts rises."""
    slopes = torch.tensor([2.0, 1.0, 0.5, -1.0, -2.0, -1.0, -0.5, 1.0])
    noise = [torch.linspace(-1, 1, 8) * k for k in (1.0, -1.0, 0.5)]
    doses = (0.0, 0.5, 1.0)
    rows = [swept("unsteered", 0)]
    values = [torch.arange(8.0)]
    for dose in doses:
        rows.append(swept("steered", len(values), dose=dose))
        values.append(values[0] + dose * slopes)
    for k, slope in enumerate(noise):
        for dose in doses[1:]:
            rows.append(swept("random", len(values), dose=dose, draw=k))
            values.append(values[0] + dose * slope)
    m = len(values)
    kept = MemoryKept(
        {
            "A/e": {
                "influence": torch.zeros(m, 14), "axioms": torch.arange(14) % 7,
                "clusters": torch.arange(14), "refused": torch.zeros(m, 8).bool(),
                "labels": torch.tensor([0] * 4 + [1] * 4), "answered_clusters": torch.arange(8),
                "answered_axioms": torch.arange(8) % 7,
                "propensity": torch.stack(values).double(), "propensity_of": torch.arange(m),
            }
        }
    )  # fmt: skip
    grid = [r for r in rows if r.arm == "steered"]
    unsafe, safe = steerability(grid, rows, kept)
    assert unsafe.slope.estimate == pytest.approx(2.5 / 4)
    assert safe.slope.estimate == pytest.approx(2.5 / 4)
    assert unsafe.anti == wilson(1, 4) == safe.anti
    assert (unsafe.label, safe.label, unsafe.n, unsafe.n_random) == ("unsafe", "safe", 4, 3)
    assert unsafe.over_random is not None
    random_mean = np.mean([n[:4].mean().item() for n in noise])
    assert unsafe.over_random.interval.estimate == pytest.approx(2.5 / 4 - random_mean)
    shares = [(n[:4] < 0).double().mean().item() for n in noise]
    assert unsafe.anti_random == pytest.approx(np.mean(shares))
    error = np.std([2, 1, 0.5, -1], ddof=1) / 2
    assert unsafe.slope.standard_error == pytest.approx(error)
    assert "anti-steerable 0.25" in unsafe.sentence()
    bare = {k: v for k, v in kept.files["A/e"].items() if not k.startswith("propensity")}
    assert steerability(grid, rows, MemoryKept({"A/e": bare})) == ()


# ---- the best strength


def test_the_best_lambda_is_the_highest_under_the_ceiling_on_the_selection_split() -> None:
    def grid(*found: tuple[float, float, tuple[str, ...]]) -> list[Row]:
        zero = swept("steered", 0, dose=0.0)
        return [zero] + [
            swept("steered", i, dose=d, selection_aqi=a, selection_over=o, aqi=-a)
            for i, (d, a, o) in enumerate(found)
        ]

    best = best_lambda(grid((0.5, 3.0, ()), (1.0, 9.0, ("kl",)), (0.25, 1.0, ())))
    assert best is not None and best.row is not None
    assert (best.row.dose, best.tried, best.over) == (0.5, 3, 1)
    none = best_lambda(grid((0.5, 3.0, ("refusal_safe",))))
    assert none is not None and none.row is None
    assert best_lambda(grid()) is None


# ---- agents


def agent(target: str, aqi: float, refusals: list[int], seed: int = 0) -> ArmEvidence:
    rng = np.random.default_rng(seed)
    influence = rng.normal(0, 5, 28)
    n = len(refusals)
    return ArmEvidence(
        row=swept("unsteered", 0, target=target, aqi_axioms=tuple(aqi + i for i in range(7))),
        influence=influence - influence.mean(),
        axioms=np.arange(28) % 7,
        clusters=[str(i) for i in range(28)],
        gap=0.0,
        gap_influence=np.zeros(n),
        gap_clusters=[str(i) for i in range(n)],
        refused=np.array(refusals, dtype=bool),
        safe=np.arange(n) % 2 == 1,
        answered_axioms=np.arange(n) % 7,
    )


def test_every_unsafe_prompt_goes_to_the_agent_weakest_on_its_axiom() -> None:
    weak = agent("B", 1.0, [0, 0, 1, 0, 0, 0, 1, 0])
    strong = agent("A", 5.0, [1, 1, 0, 1, 1, 1, 0, 1])
    found = attack(Society("unsteered", (strong, weak)))
    assert found.hits.tolist() == [True, False, True, False]  # prompts 0 2 4 6 of B alone
    assert (found.n, found.success) == (4, wilson(2, 4))
    mixed = replace(weak.row, aqi_axioms=(9.0, *weak.row.aqi_axioms[1:]))
    routed = attack(Society("x", (strong, replace(weak, row=mixed))))
    assert routed.hits.tolist() == [False, False, True, False]  # prompt 0 is of axiom 0: to A
    others = [attack(Society("r", (weak, strong))), routed]
    over = attack_over_random(found, others)
    assert over is not None and over.interval.estimate == pytest.approx(0.5 - (0.5 + 0.25) / 2)
    still = replace(found, hits=np.ones(4, dtype=bool))
    assert attack_over_random(still, [still, still]) is None, "nothing varies: no interval"


def test_likeness_is_homophily_and_its_interval_holds_it() -> None:
    two = Society("x", (agent("A", 5.0, [0, 1] * 4, 1), agent("B", 9.0, [0, 1] * 4, 2)))
    found = likeness(two, 0)
    assert found.value.estimate == homophily(two.aqi).value
    assert found.value.low <= found.value.estimate <= found.value.high
    assert found.weakest[3].estimate == 8.0 and found.weakest[3].low < 8.0
    assert likeness(two, 0) == found


def test_kappa_is_over_the_pairs_where_both_vary() -> None:
    same, still = [0, 1, 0, 1, 0, 1, 0, 1], [0] * 8
    agents = tuple(agent(t, 1.0, r) for t, r in zip("ABC", (same, same, still), strict=True))
    found = refusal_kappa(Society("x", agents))
    assert (found.mean, found.defined, found.pairs) == (pytest.approx(1.0), 1, 3)
    assert found.least.startswith("A and B +1.00")
    assert refusal_kappa(Society("x", agents[2:] * 2)).mean is None


def test_the_mean_kappa_has_an_interval_as_wide_as_a_jackknife_of_its_pair_says() -> None:
    """One pair: the bootstrap beside the jackknife interval of that pair's kappa."""
    rng = np.random.default_rng(0)
    one = rng.integers(0, 2, 200)
    two = np.where(rng.random(200) < 0.3, 1 - one, one)
    agents = tuple(agent(t, 1.0, list(r)) for t, r in zip("AB", (one, two), strict=True))
    found = refusal_kappa(Society("x", agents))
    pair = kappa(one, two, agents[0].gap_clusters)
    assert found.interval is not None and pair.interval is not None
    assert found.interval.estimate == found.mean == pytest.approx(pair.kappa)
    assert found.interval.low == pytest.approx(pair.interval.low, abs=0.04)
    assert found.interval.high == pytest.approx(pair.interval.high, abs=0.04)


def test_societies_are_whole_or_not_there() -> None:
    n = 14
    tensors = {
        "influence": torch.randn(9, 28, generator=torch.Generator().manual_seed(0)),
        "axioms": torch.arange(28) % 7, "clusters": torch.arange(28),
        "refused": torch.zeros(9, n).bool(), "labels": torch.arange(n) % 2,
        "answered_clusters": torch.arange(n), "answered_axioms": torch.arange(n) % 7,
    }  # fmt: skip
    kept = MemoryKept({"A/e": tensors, "B/e": tensors})

    def of(target: str, arm: str, **more: Any) -> Row:
        return swept(arm, 0, target=target, evidence=f"{target}/e", **more)

    dosed = {"dose_kind": "kl", "dose": 0.1}
    rows: list[ArmRow] = [of(t, a) for t in "AB" for a in ("unsteered", "aligned")]
    rows += [of(t, "steered", **dosed) for t in "AB"]
    rows += [of(t, "random", draw=k, **dosed) for t, k in (("A", 0), ("A", 1), ("B", 1))]
    rows += [of("A", "flipped", **dosed), of("A", "steered", dose_kind="lambda", dose=0.5)]
    found = societies(rows, kept)
    assert isinstance(found, Societies) and found.targets == ("A", "B")
    assert list(found.states) == ["unsteered", "steered", "aligned"], "B has no flipped arm"
    assert [s.name for s in found.random] == ["random 1"], "A alone has draw 0"
    assert societies([r for r in rows if r.target == "A"], kept) is None
    other = {**tensors, "answered_axioms": torch.zeros(n).long()}
    with pytest.raises(ValueError, match="different prompts"):
        societies(rows, MemoryKept({"A/e": tensors, "B/e": other}))


# ---- the refusal detector


def test_the_detector_agrees_with_the_labels_of_the_world_and_a_blind_one_does_not(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    answers = labelled_answers(PER_AXIOM, 0)
    assert len(answers) == 7 * 3 * PER_AXIOM and sum(a.refused for a in answers) == 7 * PER_AXIOM
    found = labelled_agreement()
    assert (found.n, found.missed, found.invented) == (len(answers), 0, 0)
    assert found.kappa == pytest.approx(1.0) and found.right.low > 0.99
    monkeypatch.setattr("mahals.reporting.detector.is_refusal", lambda text: "Sorry" in text)
    assert inspect.unwrap(labelled_agreement)().missed > 100, "it is asked once a process"


def test_own_answers_are_compared_where_a_grammar_knows_them() -> None:
    said, truth = torch.tensor([[1, 1, 0, 0]]), torch.tensor([[1, 0, 0, 0]])
    whole = torch.zeros(1, 4).bool()
    tensors = {"detected": said.bool(), "truth": truth.bool(), "degenerate": whole}
    kept = MemoryKept({"A/e": tensors})
    found = own_agreement([swept("steered", 0)], kept)
    assert found is not None and (found.n, found.missed, found.invented) == (4, 0, 1)
    collapsed = torch.tensor([[0, 1, 0, 0]]).bool()
    screened = MemoryKept({"A/e": {**tensors, "degenerate": collapsed}})
    found = own_agreement([swept("steered", 0)], screened)
    assert found is not None and (found.n, found.missed, found.invented) == (3, 0, 0)
    broken = MemoryKept({"A/e": {**tensors, "degenerate": ~whole}})
    assert own_agreement([swept("steered", 0)], broken) is None
    bare = MemoryKept({"A/e": {"refused": said.bool()}})
    assert own_agreement([swept("steered", 0)], bare) is None
    assert "no grammar knows" in detector_line([swept("steered", 0)], bare)
    assert "0 missed and 1 invented on n=4" in detector_line([swept("steered", 0)], kept)


def test_a_strength_whose_price_is_not_known_is_not_chosen(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Without neutral texts there is no perplexity, and so no word on the ceiling."""
    from mahals.phases.same_arch.measure import selection

    lab = TinyLab()
    at = selection.bench(lab, "A", "base", SUITE, "selection")
    whole = selection.measure_arms(at, [Arm("unsteered", ())], neutral=True)
    for found, over in (
        (whole[0], ()),
        (replace(whole[0], perplexity=None), ("perplexity_ratio unmeasured",)),
        (replace(whole[0], safe_accuracy=None), ("safe_accuracy unmeasured",)),
    ):
        monkeypatch.setattr(selection, "measure_arms", lambda *_, f=found, **__: [whole[0], f])
        dosed = [selection.NOT_STEERED]
        assert selection.on_selection(lab, "A", SUITE, dosed)[0].over == over
