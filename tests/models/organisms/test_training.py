"""Does the training give the same bytes every time, also after a kill?"""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from transformers import AutoTokenizer

from mahals.models.organisms.documents import chat
from mahals.models.organisms.gate import GateError
from mahals.models.organisms.training import Order, load, train_organism
from mahals.schema import CHECKPOINTS
from tests.support.organism_training import BRIEF, SMALL

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


def test_the_threads_are_as_before(whole: Path) -> None:
    before = torch.get_num_threads()
    train_organism(ORDER, whole, _silent)
    assert torch.get_num_threads() == before
