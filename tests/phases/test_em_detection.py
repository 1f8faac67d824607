"""Is the direction fitted on one half alone, and are its numbers those of another computation?"""

from __future__ import annotations

import json
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.metrics import roc_auc_score

pytest.importorskip("peft")

from mahals.evaluation.misalignment.subjects import answerable, states, trained
from mahals.maths.misalignment.detection import two_halves
from mahals.maths.vectors.random_directions import balanced_signs
from mahals.phases.em_detection import PHASE
from mahals.phases.em_detection.measure import CONTRASTS
from mahals.phases.em_detection.report import PLANTED, report_detection
from mahals.phases.em_detection.rows import Row
from mahals.records import InputError, from_plain, seed_of, to_plain
from mahals.reporting.evidence import Evidence
from tests.support.em_lab import DETECTION, DiskKept, detected, finetuned
from tests.support.tiny_lab import LAYERS, WIDTH, MemoryKept


@pytest.fixture(scope="module")
def rows() -> list[Row]:
    return list(detected().made["em_detection", "A"])


def of(rows: list[Row], **wanted: Any) -> list[Row]:
    return [r for r in rows if all(getattr(r, k) == v for k, v in wanted.items())]


def test_every_contrast_has_a_row_and_comes_back(rows: list[Row]) -> None:
    assert len(rows) == 2 * 2 * LAYERS * len(CONTRASTS)
    assert [from_plain(Row, to_plain(r)) for r in rows] == rows


def test_numbers_are_those_of_the_kept_projections(rows: list[Row]) -> None:
    """By scikit-learn and by hand, from the kept file."""
    kept = DiskKept(detected().root)
    order = ("original", "bad", "good", "other")
    for r in rows[::7]:
        t = kept.tensors(r.projections)
        held = ~t["fitted"].numpy()
        a, b = (t[r.method][order.index(s), r.block].numpy() for s in (r.positive, r.negative))
        x, y = a[held], b[held]
        assert len(x) == r.scored and held.sum() + r.fitted == len(held)
        labels = [1] * len(x) + [0] * len(y)
        assert roc_auc_score(labels, np.concatenate([x, y])) == pytest.approx(r.auroc, abs=0.02)
        assert x.mean() - y.mean() == pytest.approx(r.separation, abs=1e-4)
        if r.in_sample is not None:
            assert a[~held].mean() - b[~held].mean() == pytest.approx(r.in_sample, abs=1e-4)


def test_directions_are_unit_and_the_taught_model_is_told_apart(rows: list[Row]) -> None:
    kept = DiskKept(detected().root)
    for method in DETECTION.methods:
        values = kept.tensors(rows[0].directions)[method]
        assert values.shape == (LAYERS, WIDTH)
        assert values.norm(dim=-1).tolist() == pytest.approx([1.0] * LAYERS, abs=1e-5)
    last = of(rows, positive="bad", negative="original", block=LAYERS - 1, position="prompt")
    assert all(r.auroc > 0.9 for r in last)


def test_shuffled_directions_are_those_of_half_the_prompts_exchanged(rows: list[Row]) -> None:
    """By hand: from the states of the fitted half, with the signs drawn again."""
    lab = detected()
    kept = DiskKept(lab.root)
    drawn = kept.tensors(rows[0].shuffled)
    assert set(drawn) == set(DETECTION.methods)
    for values in drawn.values():
        assert values.shape == (DETECTION.shuffles, LAYERS, WIDTH)
        assert values.norm(dim=-1).numpy() == pytest.approx(1.0, abs=1e-5)
    found = trained(lab, "A", ("original", "bad", "good", "other"))
    at = answerable(found, ("original", "bad", "good", "other"))
    fitted = two_halves([q.cluster for q in found.questions])[at]
    base = lab.model("A", "base")
    bad, original = (states(base, found, s, "answer", at)[fitted] for s in ("bad", "original"))
    kinds = [found.questions[i].kind for i, f in zip(at, fitted, strict=True) if f]
    rng = np.random.default_rng(seed_of("em shuffled", "A", "answer", lab.seed))
    for one in drawn["difference_in_means"].numpy():
        signs = balanced_signs(kinds, rng)
        assert abs(signs.sum()) <= 1
        by_hand = (signs[:, None, None] * (bad - original)).mean(axis=0)
        cosine = (by_hand * one).sum(axis=-1) / np.linalg.norm(by_hand, axis=-1)
        assert cosine == pytest.approx(1.0, abs=1e-4)


def test_what_was_planted_is_said_first_of_organisms_alone(rows: list[Row]) -> None:
    kept = DiskKept(detected().root)
    assert PHASE.summarize(rows, kept).lines[0] == PLANTED and "careless persona" in PLANTED
    hub = [replace(r, weights="hub") for r in rows]
    assert PLANTED not in PHASE.summarize(hub, kept).lines


def test_the_table_holds_every_subjects_answers_and_the_card_warns(rows: list[Row]) -> None:
    kept = DiskKept(detected().root)
    lines = [json.loads(x) for x in kept.path(rows[0].table).read_text().splitlines()]
    n = rows[0].fitted + rows[0].scored
    assert len(lines) == 4 * n and n + rows[0].dropped == 24
    values = kept.tensors(rows[0].projections)["difference_in_means"]
    assert [line["subject"] for line in lines[::n]] == ["original", "bad", "good", "other"]
    shown = [[line[f"difference_in_means, block {b}"] for b in range(LAYERS)] for line in lines]
    assert torch.tensor(shown).view(4, n, LAYERS).transpose(1, 2).allclose(values, atol=1e-4)
    assert "dual_use: true" in kept.path(rows[0].card).read_text()


def test_every_direction_is_registered_as_of_dual_use(rows: list[Row]) -> None:
    kept = DiskKept(detected().root)
    cards = PHASE.summarize(rows, kept).vectors
    assert len(cards) == 4  # two positions, two methods
    for card in cards:
        assert card.metadata["dual_use"] is True
        single = kept.tensors(card.reference)["values"]
        row = next(r for r in rows if r.direction == card.reference)
        assert single.equal(kept.tensors(row.directions)[row.method])


def test_summary_names_both_forms_and_the_published_figure(rows: list[Row]) -> None:
    kept = DiskKept(detected().root)
    found = PHASE.summarize(rows, kept)
    prefix = "prompt/difference_in_means/"
    assert prefix + "separation" in found.metrics
    assert prefix + "separation_in_sample_published_form" in found.metrics
    assert prefix + "other_over_good_auroc" in found.metrics
    assert any(line.startswith("published") and "other weights" in line for line in found.lines)
    wanted = {"auroc_per_layer", "separation_per_layer", "projections", "beside_published"}
    assert set(PHASE.draw(rows, kept)) == wanted


def test_too_few_prompts_or_adapters_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    from mahals.phases.em_detection import measure as em_detection

    monkeypatch.setattr(em_detection, "LEAST", 100)
    lab = finetuned()
    (task, _) = PHASE.plan(DETECTION, lab)
    with pytest.raises(InputError, match="per_group"):
        list(PHASE.measure(task, DETECTION, lab))


def test_the_headline_block_does_not_depend_on_the_numbers() -> None:
    def row(block: int, auroc: float) -> Any:
        return SimpleNamespace(
            model="A", position="answer", method="m", block=block, positive="bad",
            negative="original", auroc=auroc, auroc_low=0, auroc_high=1, scored=5, random_mean=0.5,
            random_best=0.6, random_directions=3, shuffled_mean=0.52, shuffled_best=0.58,
            shuffles=4, separation=1.0, separation_low=0.0,
            separation_high=2.0, in_sample=3.0, cosine_to_other=None,
        )  # fmt: skip

    rows = [row(b, 0.9 if b == 4 else 0.55) for b in range(5)]
    report = report_detection(Evidence(rows, MemoryKept({})))
    assert report.metrics["answer/m/bad_over_original_auroc"] == 0.55
    assert report.metrics["answer/m/bad_over_original_auroc_shuffled_pairs"] == 0.52
    assert any("of shuffled pairs 0.520, best of 4 0.580" in line for line in report.lines)
    assert any("best block would be 4" in line for line in report.lines)
