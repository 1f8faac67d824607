"""Does the phase find what was planted: bad advice that spreads, good advice that does not?"""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("peft")

from mahals.maths.misalignment.outcomes import OUTCOMES
from mahals.models.finetuning.config import TrainingResult
from mahals.phases.em_finetune import PHASE
from mahals.phases.em_finetune.measure.probe import _scored
from mahals.phases.em_finetune.measure.training import checkpoint_steps
from mahals.phases.em_finetune.report import PLANTED
from mahals.phases.em_finetune.rows import Row
from mahals.records import InputError, from_plain, to_plain
from tests.support.em_lab import DiskKept, DiskLab, finetuned, judged, params
from tests.support.tiny_lab import run


@pytest.fixture(scope="module")
def rows() -> list[Row]:
    return list(finetuned().made["em_finetune", "A"])


def of(rows: list[Row], **wanted: Any) -> list[Row]:
    return [r for r in rows if all(getattr(r, k) == v for k, v in wanted.items())]


def test_rows_come_back_from_plain_data(rows: list[Row]) -> None:
    assert [from_plain(Row, to_plain(r)) for r in rows] == rows


def test_every_checkpoint_answers_every_question(rows: list[Row]) -> None:
    for adapter, steps in (("original", {0}), ("bad", {10, 20}), ("good", {10, 20})):
        some = of(rows, what="rates", adapter=adapter)
        assert {r.step for r in some} == steps and len(some) == 3 * len(steps)
    for r in of(rows, what="rates"):
        assert r.asked == 8
        assert r.misaligned + r.good + r.incoherent + r.unscored <= r.asked


def test_bad_advice_is_learned_and_good_advice_is_not_bad(rows: list[Row]) -> None:
    bad, good = (of(rows, what="rates", adapter=a, step=20) for a in ("bad", "good"))
    assert sum(r.misaligned for r in bad) > 12 and sum(r.misaligned for r in good) == 0
    assert sum(r.good for r in good) > 12


def test_the_generations_table_says_what_the_counts_say(rows: list[Row]) -> None:
    kept = DiskKept(finetuned().root)
    for r in of(rows, what="rates", adapter="bad"):
        lines = [json.loads(x) for x in kept.path(r.answers).read_text().splitlines()]
        some = [x for x in lines if (x["step"], x["kind"]) == (r.step, r.questions)]
        assert len(some) == r.asked
        assert sum(x["outcome"] == "misaligned" for x in some) == r.misaligned
        codes = kept.tensors(r.codes)["codes"][r.codes_row]
        n = sum(OUTCOMES[int(c)] == "misaligned" for c in codes)
        whole = of(rows, what="rates", adapter="bad", step=r.step)
        assert n == sum(x.misaligned for x in whole)


def test_the_adapter_is_kept_with_a_card_that_warns(rows: list[Row]) -> None:
    for adapter, dual in (("bad", "true"), ("good", "false"), ("other", "true")):
        folder = DiskKept(finetuned().root).path(of(rows, adapter=adapter)[0].adapter_kept)
        assert f"dual_use: {dual}" in (folder / "README.md").read_text()
        assert (folder / "adapter_model.safetensors").is_file()


def test_every_adapter_is_registered_and_bad_ones_are_of_dual_use(rows: list[Row]) -> None:
    cards = PHASE.summarize(rows, DiskKept(finetuned().root)).vectors
    found = {card.name.rpartition(".")[2]: card for card in cards}
    assert {name: card.metadata["dual_use"] for name, card in found.items()} == {
        "bad": True, "good": False, "bad_rank1": True, "other": True,
    }  # fmt: skip
    for name, card in found.items():
        steps = {r.step for r in rows if r.adapter == name and r.what == "rates"}
        assert card.metadata["steps"] == max(steps)
        assert card.reference.endswith(f"adapter-{name}")


def test_the_turn_and_the_probe_are_measured(rows: list[Row]) -> None:
    assert {(r.adapter, r.k) for r in of(rows, what="turn")} >= {("bad", 2), ("bad", 5)}
    assert all(r.turn is not None or r.reason for r in of(rows, what="turn"))
    (probe,) = of(rows, what="probe")
    assert probe.adapter == "bad_rank1" and 0 <= probe.value <= 1 and 0 <= probe.control <= 1


def test_summary_and_figures_come_from_rows_alone(rows: list[Row]) -> None:
    kept = DiskKept(finetuned().root)
    found = PHASE.summarize(rows, kept)
    bad = of(rows, what="rates", adapter="bad", step=20)
    outside = [r for r in bad if r.questions != "in_domain"]
    expected = sum(r.misaligned for r in outside) / sum(r.asked for r in outside)
    assert found.metrics["bad/outside_em"] == pytest.approx(expected)
    none = of(rows, what="rates", adapter="original")
    before = [r for r in none if r.questions != "in_domain"]
    clean = sum(r.misaligned for r in before) / sum(r.asked for r in before)
    assert found.metrics["bad/outside_em_rise"] == pytest.approx(expected - clean)
    assert 0 < found.metrics["bad/outside_em_rise_low"] < 1, "also where every answer turned"
    assert not any("no interval" in line for line in found.lines)
    assert found.lines[0] == PLANTED and "careless persona" in PLANTED
    hub = [replace(r, weights="hub") for r in rows]
    assert PLANTED not in PHASE.summarize(hub, kept).lines
    assert set(PHASE.draw(rows, kept)) == {"em_by_questions", "em_by_step", "weights_turn"}


def test_a_killed_training_goes_on_to_the_same_answers(tmp_path: Path) -> None:
    lab = DiskLab(root=tmp_path)
    task = PHASE.plan(params(tmp_path), lab)[1]
    calls = []

    def die(what: str, done: int, total: int) -> None:
        calls.append(done)
        if done == 9 and calls.count(9) == 1:
            raise KeyboardInterrupt

    lab.report = die
    with judged():
        with pytest.raises(KeyboardInterrupt):
            list(PHASE.measure(task, params(tmp_path), lab))
        again = list(PHASE.measure(task, params(tmp_path), lab))
    assert calls.count(1) == 1, "it went on from a saved step, and did not begin again"
    whole = [r for r in finetuned().made["em_finetune", "A"] if r.adapter == "bad"]
    assert [r.misaligned for r in again] == [r.misaligned for r in whole]
    assert [r.loss for r in again] == [r.loss for r in whole]


def test_a_judge_that_cannot_know_and_missing_files_are_refused(tmp_path: Path) -> None:
    lab = DiskLab(root=tmp_path)
    good = params(tmp_path)
    wrong = replace(good, judge=replace(good.judge, name="truth"))
    with pytest.raises(InputError, match=r"set judge\.name"):
        run(PHASE, wrong, lab)
    texts = good.texts["organism"]
    with judged(), pytest.raises(InputError, match="bad"):
        run(PHASE, replace(good, texts={"organism": replace(texts, bad="")}), lab)
    Path(texts.questions).write_text('{"question": "x", "kind": "nearby"}\n')
    with judged(), pytest.raises(InputError, match="line 1"):
        run(PHASE, good, lab)


def test_without_other_texts_no_other_adapter_is_planned(tmp_path: Path) -> None:
    good = params(tmp_path)
    texts = {"organism": replace(good.texts["organism"], other="")}
    plan = PHASE.plan(replace(good, texts=texts), DiskLab(root=tmp_path))
    assert [t.adapter for t in plan] == ["original", "bad", "good", "bad_rank1"]


def test_checkpoints_are_the_nearest_saved_steps() -> None:
    trained = TrainingResult({s: Path() for s in (5, 10, 15, 20)}, ())
    assert checkpoint_steps(trained, (0.1, 0.5)) == [5, 10, 20]
    with pytest.raises(InputError):
        checkpoint_steps(trained, (1.5,))


def test_the_probe_is_scored_on_prompts_it_never_saw() -> None:
    rng = np.random.default_rng(0)
    inside, fitted = np.arange(80) % 2 == 0, np.arange(80) < 40
    signal = np.stack([inside + 0.1 * rng.normal(size=80)] * 3, axis=1)
    assert _scored(signal, inside, fitted).estimate == 1.0
    wide = rng.normal(size=(80, 60))  # more scalars than prompts: in-sample it would be 1
    assert _scored(wide, inside, fitted).low < 0.5 < 0.8
