"""Does the phase keep the vectors it reports, and choose among them on the selection split?"""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from mahals.data.texts import AXIOMS
from mahals.phase import Single
from mahals.phases.steering_vectors import PHASE
from mahals.phases.steering_vectors.measure import Params
from mahals.phases.steering_vectors.rows import Row
from mahals.records import from_plain, to_plain
from tests.support.tiny_lab import LAYERS, SUITE, WIDTH, MemoryKept, TinyLab, planted, refused, run

METHODS = ("mean_difference", "svd_k", "contrast", "pca", "probe")
PARAMS = Params(
    methods=METHODS,
    svd_k=1,
    svd_centered=False,
    texts={"organism": "unsafe", "hub": "answers"},
    pool="mean",
    pairs=40,
    left_out="none",
    shuffles=2,
    tokens=512,
    layers="auto",
    selection_draws=3,
    suite=SUITE,
)
ALL = replace(PARAMS, pairs=0, left_out=AXIOMS[-1])
ONE = {
    "cosine_similarity",
    "steering_vector_norms",
    "split_half_reliability",
    "explained_variance",
    "angle_to_mean_shift",
    "axiom_directions",
}
SEVERAL = {"cosine_similarity_comparison", "steering_norms_comparison", "model_dimensions"}


@pytest.fixture(scope="module")
def lab() -> TinyLab:
    return TinyLab()


@pytest.fixture(scope="module")
def rows(lab: TinyLab) -> list[Row]:
    return run(PHASE, PARAMS, lab)


def test_a_row_for_every_method_and_block(rows: list[Row]) -> None:
    assert [(r.method, r.block) for r in rows] == [(m, b) for m in METHODS for b in range(LAYERS)]
    assert {(r.blocks, r.width, r.revision) for r in rows} == {(LAYERS, WIDTH, "A:base")}
    assert [from_plain(Row, to_plain(r)) for r in rows] == rows
    texts = {r.method: r.texts for r in rows}
    assert texts == {m: "unsafe" if m in METHODS[:2] else "answers" for m in METHODS}


def test_kept_vectors_are_those_of_the_rows(rows: list[Row], lab: TinyLab) -> None:
    for row in rows:
        values = lab.files[row.vectors]["values"]
        assert values.shape == (LAYERS, WIDTH)
        assert values[row.block].norm().item() == pytest.approx(row.norm, rel=1e-5)
    assert len({r.vectors for r in rows}) == len(METHODS)


def test_the_selection_score_is_on_the_steered_block_alone(rows: list[Row]) -> None:
    for row in rows:
        assert (row.selection_gain is not None) == row.steered == (row.block == 1)
    everywhere = run(PHASE, replace(PARAMS, methods=("contrast",), layers=(0.0, -1.0)), TinyLab())
    assert [r.steered for r in everywhere] == [True, False, False, True]


def test_the_selection_gain_is_over_random_with_its_interval(
    rows: list[Row], lab: TinyLab, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By hand from what the arms refused: their refusal gaps over the random directions' mean.

    Planted: each arm refuses a share of its own of the unsafe prompts, contrast all of them.
    """
    from mahals.phases.steering_vectors.measure import selection

    suite = replace(SUITE, answers=4)
    seen: list[Any] = []

    def planted_answers(at: Any, arms: Any) -> list[Any]:
        unsafe = np.array([at.prompts[i].label == 0 for i in at.answered])
        shares = (1.0, 0.4, 0.0, 0.1, 0.2)
        flags = [unsafe & (np.cumsum(unsafe) <= s * unsafe.sum()) for s in shares]
        seen.append((len(arms), [f.sum() / unsafe.sum() for f in flags]))
        return [SimpleNamespace(refused=tuple(f.tolist())) for f in flags]

    monkeypatch.setattr(selection, "behaviour", planted_answers)
    trial = replace(PARAMS, methods=("contrast", "pca"), suite=suite)
    found = run(PHASE, trial, TinyLab())
    ((count, gaps),) = seen
    assert count == 2 + PARAMS.selection_draws
    for gap, row in zip(gaps, [r for r in found if r.steered], strict=False):
        assert row.selection_gain == pytest.approx(gap - np.mean(gaps[2:]))
        assert -1 <= row.selection_gain_low < row.selection_gain < row.selection_gain_high <= 1
    assert next(r for r in found if r.steered).selection_gain_low > 0, "all refused: a number"
    metrics = PHASE.summarize(found, MemoryKept({})).metrics
    assert {f"pca/selection_gain{x}" for x in ("", "_low", "_high")} <= set(metrics)


def test_a_method_out_of_reach_costs_the_others_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    from mahals.phases.steering_vectors.measure import selection

    plain = selection.within_reach

    def without_pca(at: Any, found: Any, target: float) -> Any:
        return plain(at, [d for d in found if d.label.method != "pca"], target)

    monkeypatch.setattr(selection, "within_reach", without_pca)
    lab = TinyLab()
    found = run(PHASE, replace(PARAMS, methods=("contrast", "pca")), lab)
    steered = {r.method: r for r in found if r.steered}
    assert steered["contrast"].selection_gain is not None
    assert steered["pca"].selection_gain is None
    assert "no strength brings the vector to kl=0.05" in str(steered["pca"].reason)
    summary = PHASE.summarize(found, MemoryKept(lab.files))
    assert "pca/selection_gain" not in summary.metrics and "pca absent" in summary.lines[0]
    assert {c.name: c.selection_score for c in summary.vectors}["A.pca"] is None


def test_the_selection_score_never_reads_the_evaluation_split() -> None:
    class Watched(TinyLab):
        splits: set[str] = set()  # noqa: RUF012

        def prompts(self, split: str) -> Any:
            self.splits.add(split)
            return super().prompts(split)

        def neutral(self, split: str) -> Any:
            self.splits.add(split)
            return super().neutral(split)

    run(PHASE, replace(PARAMS, methods=("contrast",)), Watched())
    assert "selection" in Watched.splits and "evaluation" not in Watched.splits


def test_a_planted_direction_comes_back() -> None:
    """The svd of the differences finds it as well as the mean; contrast reads another thing."""
    direction = torch.zeros(WIDTH)
    direction[5] = 25.0
    lab = TinyLab(load=planted(direction))
    found = run(PHASE, replace(PARAMS, methods=METHODS[:2]), lab)
    for row in found:
        vector = lab.files[row.vectors]["values"][row.block]
        assert vector[5].item() / vector.norm().item() > 0.95
    centred = replace(PARAMS, methods=("svd_k",), svd_centered=True)
    turned = run(PHASE, centred, TinyLab(load=planted(direction)))
    assert all(r.cosine_to_mean is not None for r in turned)


def test_how_many_pairs_is_a_param() -> None:
    few = run(PHASE, replace(PARAMS, methods=("contrast",), pairs=10), TinyLab())
    every = run(PHASE, replace(PARAMS, methods=("contrast",), pairs=0), TinyLab())
    assert ({r.samples for r in few}, {r.samples for r in every}) == ({10}, {84})


def test_methods_named_twice_or_not_at_all_are_refused() -> None:
    for methods in ((), ("pca", "pca")):
        said = str(refused(lambda m=methods: PHASE.plan(replace(PARAMS, methods=m), TinyLab())))
        assert "steering_vectors.methods" in said


def test_a_layer_that_is_not_there_is_refused() -> None:
    said = str(refused(lambda: run(PHASE, replace(PARAMS, layers=(9.0,)), TinyLab())))
    assert "layers" in said and "9.0" in said


def test_two_equal_checkpoints_are_refused() -> None:
    same = TinyLab(load=lambda key, role: TinyLab().load(key, "base"))
    assert "no difference" in str(refused(lambda: run(PHASE, PARAMS, same)))


def test_summary_is_pure(rows: list[Row], lab: TinyLab) -> None:
    lab.asked.clear()
    kept = MemoryKept(lab.files)
    summary = PHASE.summarize(rows, kept)
    assert summary == PHASE.summarize(list(rows), kept) and lab.asked == []
    cosines = [r.cosine for r in rows if r.method == "pca"]
    assert summary.metrics["pca/cosine"] == pytest.approx(np.mean(cosines))
    first = [r.cosine for r in rows if r.method == "mean_difference"]
    assert summary.metrics["potential"] == pytest.approx(1 - np.mean(first))


def test_every_vector_has_a_card_with_its_score(rows: list[Row], lab: TinyLab) -> None:
    cards = {c.name: c for c in PHASE.summarize(rows, MemoryKept(lab.files)).vectors}
    assert set(cards) == {f"A.{m}" for m in METHODS}
    for row in rows:
        card = cards[f"A.{row.method}"]
        assert card.reference == row.vectors and card.metadata["revision"] == "A:base"
        if row.steered:
            assert card.selection_score == row.selection_gain
            spread = (row.selection_gain, row.selection_gain_low, row.selection_gain_high)
            assert card.metadata["selection_gain"] == pytest.approx(spread, abs=1e-5)


def test_the_recommended_order_is_by_potential(rows: list[Row], lab: TinyLab) -> None:
    other = [replace(r, model="B", cosine=r.cosine - 0.1) for r in rows]
    summary = PHASE.summarize([*rows, *other], MemoryKept(lab.files))
    assert "potential: B, A" in summary.lines[-1]
    assert summary.metrics["B/potential"] == pytest.approx(summary.metrics["A/potential"] + 0.1)


def test_figures_are_those_named(rows: list[Row], lab: TinyLab) -> None:
    assert set(PHASE.draw(rows, MemoryKept(lab.files))) == ONE
    several = [*rows, *(replace(r, model="B") for r in rows)]
    assert set(PHASE.draw(several, MemoryKept(lab.files))) == SEVERAL
    pairs = [r for r in rows if r.method in ("contrast", "pca", "probe")]
    assert "potential" not in PHASE.summarize(pairs, MemoryKept(lab.files)).metrics
    means = [r for r in rows if r.cosine_to_mean is None]
    few = ONE - {"explained_variance", "angle_to_mean_shift"}
    assert set(PHASE.draw(means, MemoryKept(lab.files))) == few


@pytest.fixture(scope="module")
def whole() -> tuple[list[Row], TinyLab]:
    """From all pairs, one axiom left out."""
    lab = TinyLab()
    return run(PHASE, ALL, lab), lab


def test_the_left_out_axiom_makes_no_vector_but_has_a_direction(
    whole: tuple[list[Row], TinyLab],
) -> None:
    rows, lab = whole
    assert {r.left_out for r in rows} == {AXIOMS[-1]} and {r.reason for r in rows} == {None}
    assert {r.method: r.samples for r in rows} == {
        m: 36 if m in METHODS[:2] else 72 for m in METHODS
    }
    rest = TinyLab()
    rest.pairs = lambda split: [  # type: ignore[method-assign]
        p for p in TinyLab().pairs(split) if p.axiom != AXIOMS[-1]
    ]
    for row in run(PHASE, replace(ALL, left_out="none"), rest):
        torch.testing.assert_close(
            lab.files[row.vectors]["values"], rest.files[row.vectors]["values"]
        )
    axioms = lab.files["A/mean_difference.safetensors"]["axioms"]
    assert axioms.shape == (7, LAYERS, WIDTH)
    torch.testing.assert_close(
        axioms[:-1].mean(0), lab.files["A/mean_difference.safetensors"]["values"]
    )
    assert (axioms[-1] - axioms[:-1].mean(0)).abs().max() > 1e-3


def test_every_vector_has_its_control_from_shuffled_pairs(
    whole: tuple[list[Row], TinyLab],
) -> None:
    rows, lab = whole
    for row in rows:
        drawn, values = (lab.files[row.vectors][k] for k in ("shuffled", "values"))
        assert drawn.shape == (2, LAYERS, WIDTH)
        torch.testing.assert_close(drawn.norm(dim=-1), values.norm(dim=-1).expand(2, -1))
        cosine = torch.cosine_similarity(drawn, values[None], dim=-1)[:, row.block]
        assert row.shuffled_cosine == pytest.approx(float(cosine.abs().mean()), abs=1e-5)
    none = TinyLab()
    for row in run(PHASE, replace(PARAMS, methods=("contrast",), shuffles=0), none):
        assert row.shuffled_cosine is None and set(none.files[row.vectors]) == {"values"}


def test_the_summary_and_the_figure_say_which_axioms_are_in_conflict(
    whole: tuple[list[Row], TinyLab],
) -> None:
    rows, lab = whole
    kept = MemoryKept(lab.files)
    summary = PHASE.summarize(rows, kept)
    axioms = lab.files["A/mean_difference.safetensors"]["axioms"][:, 1]  # the steered block
    cosine = torch.nn.functional.normalize(axioms, dim=1)
    pairs = (cosine @ cosine.T)[*torch.triu_indices(7, 7, 1)]
    assert summary.metrics["axioms/cosine_min"] == pytest.approx(float(pairs.min()), abs=1e-5)
    assert summary.metrics["axioms/cosine_mean"] == pytest.approx(float(pairs.mean()), abs=1e-5)
    said = next(line for line in summary.lines if "directions of the axioms" in line)
    assert f"lowest cosine {pairs.min():.3f}" in said and "at block 1" in said
    assert "axiom_directions" in PHASE.draw(rows, kept)
    other = [replace(r, model="B") for r in rows]
    both = PHASE.summarize([*rows, *other], kept)
    assert both.metrics["B/axioms/opposed"] == both.metrics["A/axioms/opposed"]
    assert sum("directions of the axioms" in line for line in both.lines) == 2
    assert set(PHASE.draw([*rows, *other], kept)) == SEVERAL


def test_opposed_axioms_are_named(whole: tuple[list[Row], TinyLab]) -> None:
    """The kept directions with one of them turned round: it is in conflict with its like."""
    rows, lab = whole
    name = "A/mean_difference.safetensors"
    turned = {k: v.clone() for k, v in lab.files[name].items()}
    for key in ("axioms", "axiom_halves"):
        turned[key][..., 0, :, :] = -turned[key][..., 1, :, :]
    turned["axiom_variance"] *= 1e-4
    summary = PHASE.summarize(rows, MemoryKept({**lab.files, name: turned}))
    said = next(line for line in summary.lines if "in conflict: " in line)
    assert f"{AXIOMS[0]} and {AXIOMS[1]} -1.000" in said
    assert summary.metrics["axioms/opposed"] >= 1


def test_the_angle_to_the_mean_shift_is_said_in_degrees(rows: list[Row], lab: TinyLab) -> None:
    summary = PHASE.summarize(rows, MemoryKept(lab.files))
    own = [r.cosine_to_mean for r in rows if r.method == "pca"]
    expected = np.degrees(np.arccos(np.array(own, dtype=float))).mean()
    assert summary.metrics["pca/degrees_from_mean"] == pytest.approx(expected)
    assert f"pca {expected:.0f}" in summary.lines[0]
    assert "mean_difference/degrees_from_mean" not in summary.metrics


def test_few_pairs_of_an_axiom_and_pairs_without_one_are_said(rows: list[Row]) -> None:
    assert {r.reason for r in rows} == {None}  # 40 pairs: of some axioms, two or more of each
    short = TinyLab()
    one = {p.axiom: p for p in TinyLab().pairs("extraction")}.popitem()[1]
    short.pairs = lambda split: [  # type: ignore[method-assign]
        p for p in TinyLab().pairs(split) if p.axiom != one.axiom or p == one
    ]
    found = run(PHASE, replace(ALL, methods=("mean_difference", "contrast")), short)
    reasons = {r.method: r.reason for r in found}
    assert f"axioms: fewer than 2 pairs (1 of {one.axiom})" in str(reasons["mean_difference"])
    assert reasons["contrast"] is None
    bare = TinyLab()
    bare.pairs = lambda split: [  # type: ignore[method-assign]
        replace(p, axiom=None) for p in TinyLab().pairs(split)
    ]
    found = run(PHASE, replace(ALL, methods=("mean_difference",)), bare)
    assert {r.left_out for r in found} == {None}
    assert "left_out: the pairs carry no axiom" in str(found[0].reason)
    said = PHASE.summarize(found, MemoryKept(bare.files)).lines[0]
    assert "left out: no axiom" in said and "the pairs carry no axiom" in said


def test_an_unknown_axiom_is_refused_before_any_model_is_read() -> None:
    lab = TinyLab()
    said = str(refused(lambda: PHASE.plan(replace(PARAMS, left_out="Kindness"), lab)))
    assert "steering_vectors.left_out" in said and "'Kindness'" in said
    assert lab.asked == []


def test_where_it_was_read_is_in_the_rows(whole: tuple[list[Row], TinyLab]) -> None:
    rows, _ = whole
    assert {r.pool for r in rows} == {"mean"}
    assert {
        r.pool for r in run(PHASE, replace(PARAMS, methods=("pca",), pool="last"), TinyLab())
    } == {"last"}
    for row in rows:
        assert row.state_norm > 0
    by_block = {r.block: r.state_norm for r in rows if r.method == "mean_difference"}
    assert {r.block: r.state_norm for r in rows if r.method == "svd_k"} == by_block


def test_progress_is_reported_inside_the_task() -> None:
    said: list[str] = []
    lab = TinyLab()
    lab.report = lambda what, done, total: said.append(what)  # type: ignore[method-assign]
    run(PHASE, replace(PARAMS, methods=("contrast",)), lab)
    assert set(said) == {"reading states", "scoring on the selection split"}


def test_a_model_without_a_pair_has_the_vectors_of_its_one_checkpoint() -> None:
    lab = TinyLab(singles={"A": Single("aligned", "no base is public")})
    rows = run(PHASE, replace(PARAMS, shuffles=0), lab)
    assert {r.method for r in rows} == {"contrast", "pca", "probe"}
    assert all("mean_difference, svd_k: no base is public" in str(r.reason) for r in rows)
    assert ("A", "aligned") not in lab.asked
    assert "no base is public" in " ".join(PHASE.summarize(rows, MemoryKept(lab.files)).lines)
