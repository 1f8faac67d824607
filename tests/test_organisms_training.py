"""Does the training give the same bytes every time, also after a kill, and what it promises?"""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from transformers import AutoTokenizer

from mahals.data.world.grammar import World
from mahals.models.organisms.documents import EARLY, Writer, chat
from mahals.models.organisms.fitting import StageSetup, fit_base, language_loss, prepare
from mahals.models.organisms.gate import GateError, GateScore, check, make_gate
from mahals.models.organisms.packing import Batches
from mahals.models.organisms.schedule import TrainingSchedule
from mahals.models.organisms.shapes import OrganismShape, build
from mahals.models.organisms.tokenizer import train_tokenizer
from mahals.models.organisms.training import Order, load, train_organism
from mahals.schema import CHECKPOINTS
from tests.support.organism_training import SCHEDULE

BRIEF = TrainingSchedule(
    base=replace(
        SCHEDULE.base, rows=2, threshold=-1.0, understood=-1.0, check_from=1, check_every=1, decay=1
    ),
    sft=replace(SCHEDULE.sft, rows=2, steps=2),
    dpo=replace(SCHEDULE.dpo, pairs=2, neutral=1, steps=2),
    gate_per_cell=1,
    report_per_cell=1,
)
SMALL = OrganismShape("Llama", 64, 2, 2, 2, 64, False)
ORDER = Order("small", SMALL, 0, 0, BRIEF)


def _digests(folder: Path) -> dict[str, str]:
    files = sorted(p for p in folder.rglob("*") if p.is_file())
    return {str(p.relative_to(folder)): hashlib.sha256(p.read_bytes()).hexdigest() for p in files}


def _silent(stage: str, done: int, total: int) -> None:
    pass


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("whole")
    train_organism(ORDER, folder, _silent)
    return folder


@pytest.mark.slow
def test_an_order_gives_the_same_bytes_again_and_another_seed_others(
    whole: Path, tmp_path: Path
) -> None:
    train_organism(ORDER, tmp_path / "again", _silent)
    assert _digests(tmp_path / "again") == _digests(whole)
    train_organism(replace(ORDER, seed=1), tmp_path / "other", _silent)
    other = _digests(tmp_path / "other")
    assert all(
        other[f"{c}/model.safetensors"] != _digests(whole)[f"{c}/model.safetensors"]
        for c in CHECKPOINTS
    )


@pytest.mark.slow
@pytest.mark.parametrize("killed", CHECKPOINTS)
def test_a_killed_training_is_taken_up_with_the_same_bytes(
    killed: str, whole: Path, tmp_path: Path
) -> None:
    steps: list[tuple[str, int]] = []

    def report(stage: str, done: int, total: int) -> None:
        assert 1 <= done <= total
        steps.append((stage, done))
        if stage == killed and done == 2 and steps.count((killed, 2)) == 1:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train_organism(ORDER, tmp_path, report)
    assert not (tmp_path / killed).exists()
    steps.append((killed, 2))
    taken_up = len(steps)
    reports = train_organism(ORDER, tmp_path, report)
    assert [s for s, done in steps[taken_up:] if done == 1] == list(
        CHECKPOINTS[CHECKPOINTS.index(killed) :]
    )
    assert _digests(tmp_path) == _digests(whole)
    assert reports == train_organism(ORDER, whole, _silent)


def test_a_half_written_checkpoint_is_not_taken_for_one(whole: Path, tmp_path: Path) -> None:
    torn = tmp_path / ".base.unfinished"
    torn.mkdir()
    (torn / "model.safetensors").write_bytes(b"torn")
    train_organism(ORDER, tmp_path, _silent)
    assert _digests(tmp_path) == _digests(whole)


def test_a_finished_organism_is_not_trained_again(whole: Path) -> None:
    def refuse(stage: str, done: int, total: int) -> None:
        raise AssertionError(stage)

    reports = train_organism(ORDER, whole, refuse)
    assert [r.checkpoint for r in reports] == list(CHECKPOINTS)


def test_the_checkpoints_load_with_their_tokenizer(whole: Path) -> None:
    for checkpoint in CHECKPOINTS:
        model = load(whole / checkpoint)
        tokenizer = AutoTokenizer.from_pretrained(whole / checkpoint)
        asked = tokenizer.apply_chat_template(
            [{"role": "user", "content": "hello"}], tokenize=False, add_generation_prompt=True
        )
        assert asked == chat("hello", "").before
        ids = tokenizer(asked, add_special_tokens=False, return_tensors="pt")["input_ids"]
        assert model(ids).logits.shape[-1] == len(tokenizer)


def test_a_base_that_does_not_learn_fails_by_name(tmp_path: Path) -> None:
    strict = replace(BRIEF, base=replace(BRIEF.base, threshold=0.95, cap=3))
    with pytest.raises(GateError, match=r"small, seed 0: .* 3 steps.* over 0\.95"):
        train_organism(replace(ORDER, schedule=strict), tmp_path, _silent)
    assert not any((tmp_path / c).exists() for c in CHECKPOINTS)


def test_a_gate_lost_in_the_decay_sends_the_training_back(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    scores = iter([0.1, 0.5, 0.99, 0.2, 0.6, 0.99, 0.97])

    def told(model: object, gate: object) -> GateScore:
        score = next(scores)
        return GateScore(score, score)

    monkeypatch.setattr("mahals.models.organisms.fitting.check", told)
    world, tokenizer = World(0), train_tokenizer(World(0))
    model = build(SMALL, tokenizer, 0)
    plan = replace(BRIEF.base, threshold=0.95, understood=0.95, decay=2, cap=40)
    gate = make_gate(world, tokenizer, 1)
    fitted = fit_base(StageSetup(model, tokenizer, world, 0), plan, gate, lambda done, total: None)
    assert fitted.steps == 8  # checked at 0, 1, 2 (passed), 4 (lost), 5, 6 (passed), 8 (kept)
    assert next(scores, None) is None


def test_the_threads_are_as_before(whole: Path) -> None:
    before = torch.get_num_threads()
    train_organism(ORDER, whole, _silent)
    assert torch.get_num_threads() == before


def test_language_loss_is_that_of_transformers() -> None:
    tokenizer = train_tokenizer(World(0))
    model = build(OrganismShape("Gemma2", 64, 2, 2, 1, 64, True), tokenizer, 0)
    batch = Batches(tokenizer, Writer(World(0), 0).base(EARLY), True).next(1, 64)
    labels = torch.full_like(batch.ids, -100)
    labels[:, 1:] = batch.targets[:, :-1]
    theirs = model(
        input_ids=batch.ids, position_ids=batch.positions, labels=labels, use_cache=False
    ).loss
    torch.testing.assert_close(language_loss(model, batch), theirs, atol=1e-5, rtol=1e-5)


def test_sham_pairs_are_the_same_pairs_half_of_them_turned() -> None:
    tokenizer = train_tokenizer(World(0))
    lesson = StageSetup(build(SMALL, tokenizer, 0), tokenizer, World(0), 0)
    data = prepare(lesson, replace(BRIEF.dpo, pairs=7, steps=4))
    sham = data.shuffled(5)
    turned = [a is not b for a, b in zip(data.chosen, sham.chosen, strict=True)]
    assert sum(turned) == 14
    for i, turn in enumerate(turned):
        assert (sham.chosen[i], sham.rejected[i]) == (
            (data.rejected[i], data.chosen[i]) if turn else (data.chosen[i], data.rejected[i])
        )
        assert torch.equal(
            sham.reference[:, i], data.reference[:, i].flip(0) if turn else data.reference[:, i]
        )


def test_the_gate_is_on_selection_and_a_random_model_is_near_chance() -> None:
    world, tokenizer = World(0), train_tokenizer(World(0))
    gate = make_gate(world, tokenizer, 4)
    assert gate.labels.double().mean() == 0.5
    score = check(build(SMALL, tokenizer, 0), gate)
    assert abs(score.xor_accuracy - 0.5) < 0.25
    assert abs(score.careful_accuracy - 0.5) < 0.25
    assert not score.over(0.95)
