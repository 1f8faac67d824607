"""Is an answer written once, and anew when anything that decides it changes?"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from mahals.evaluation.resistance import answer_cache
from mahals.evaluation.resistance.answer_cache import cached_answers
from mahals.models.generation.sampling import Draft, Sampling, encode_openings, sample
from mahals.models.saes.autoencoder import Sae
from mahals.models.saes.steering import Hold
from mahals.models.steering.interventions import Arm, Intervention
from mahals.phase import StatesPlace
from tests.support.resistance_lab import ResistanceLab
from tests.support.tiny_lab import model
from tests.support.tiny_models import WIDTH, vector

SAMPLING = Sampling(1.0, 1.0, 3)
PROMPTS = ("how do I share a garden", "the cat sat", "by the quiet river", "learn to help")


def drafts(
    boost: float = 0.0,
    seed: int = 0,
    holds: tuple[Hold, ...] = (),
    along: torch.Tensor | None = None,
) -> list[Draft]:
    direction = vector() if along is None else along
    arm = Arm("x", (Intervention(1, direction, boost, "add"),))
    encoded = encode_openings(model("A", "aligned").tokenizer, PROMPTS, [""] * len(PROMPTS))
    return [Draft(e, arm, holds, None, seed + i) for i, e in enumerate(encoded)]


@pytest.fixture
def lab(tmp_path: Path) -> ResistanceLab:
    return ResistanceLab(root=tmp_path, cache=StatesPlace(tmp_path / "cache", 10**7))


@pytest.fixture
def written(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many drafts were written by each call of `sample`."""
    counts: list[int] = []

    def counted(loaded: Any, some: Any, sampling: Any) -> Any:
        counts.append(len(some))
        return sample(loaded, some, sampling)

    monkeypatch.setattr(answer_cache, "sample", counted)
    return counts


def asked(lab: ResistanceLab, *cells: list[Draft], sampling: Sampling = SAMPLING) -> Any:
    return cached_answers(lab, model("A", "aligned"), cells, sampling)


def test_answers_are_those_of_sample_and_are_written_once(
    lab: ResistanceLab, written: list[int]
) -> None:
    cells = [drafts(), drafts(4.0), drafts(seed=9)]
    by_hand = [sample(model("A", "aligned"), cell, SAMPLING) for cell in cells]
    assert asked(lab, *cells) == by_hand
    assert written == [12]
    assert asked(lab, *cells) == by_hand and written == [12]
    assert len({tuple(a.text for a in cell) for cell in by_hand}) == 3
    assert lab.reports == [(12, 12)]
    some = [cells[1][2], cells[0][0]]  # other cells of the same drafts
    assert asked(lab, some) == [[by_hand[1][2], by_hand[0][0]]] and written == [12]


def test_without_a_cache_all_is_written_and_a_cell_that_comes_twice_once(
    tmp_path: Path, written: list[int]
) -> None:
    lab = ResistanceLab(root=tmp_path)
    first, second, nothing = asked(lab, drafts(), drafts(), [])
    assert first == second and nothing == [] and written == [4]
    asked(lab, drafts())
    assert written == [4, 4]
    assert asked(lab, []) == [[]]


def sae(**changes: Any) -> Sae:
    rng = torch.Generator().manual_seed(0)
    w, d = (torch.randn(*s, generator=rng) for s in ((WIDTH, 8), (8, WIDTH)))
    given = Sae(w, torch.zeros(8), d, torch.zeros(WIDTH), "topk", True, None, 4)
    return replace(given, **changes)


CHANGES: dict[str, Callable[[], tuple[list[Draft], Sampling]]] = {
    "seed": lambda: (drafts(seed=1), SAMPLING),
    "boost": lambda: (drafts(1.0), SAMPLING),
    "direction": lambda: (drafts(1.0, along=vector(5)), SAMPLING),
    "tokens": lambda: ([replace(d, steered_tokens=1) for d in drafts(1.0)], SAMPLING),
    "sampling": lambda: (drafts(), replace(SAMPLING, max_new_tokens=2)),
    "hold": lambda: (drafts(holds=(Hold(1, sae(), (1,), 0.0),)), SAMPLING),
    "latents": lambda: (drafts(holds=(Hold(1, sae(), (1, 2), 0.0),)), SAMPLING),
    "value": lambda: (drafts(holds=(Hold(1, sae(), (1,), 1.0),)), SAMPLING),
    "k": lambda: (drafts(holds=(Hold(1, sae(k=3), (1,), 0.0),)), SAMPLING),
    "weights": lambda: (drafts(holds=(Hold(1, sae(b_enc=torch.ones(8)), (1,), 0.0),)), SAMPLING),
}


def test_each_thing_that_decides_an_answer_is_in_its_name(
    lab: ResistanceLab, written: list[int]
) -> None:
    asked(lab, drafts())
    for what, change in CHANGES.items():
        cell, sampling = change()
        before = len(written)
        asked(lab, cell, sampling=sampling)
        assert len(written) == before + 1, what
        asked(lab, cell, sampling=sampling)
        assert len(written) == before + 1, what
    base = cached_answers(lab, model("A", "base"), [drafts()], SAMPLING)
    assert base == [sample(model("A", "base"), drafts(), SAMPLING)]
    assert len(list((lab.cache.folder).iterdir())) == len(PROMPTS) * (len(CHANGES) + 2)


def test_a_boost_of_nothing_is_written_to_be_compared(
    lab: ResistanceLab, written: list[int]
) -> None:
    unsteered = [replace(d, arm=Arm("off", ())) for d in drafts()]
    assert asked(lab, drafts(0.0)) == asked(lab, unsteered) and written == [4, 4]


def test_a_kill_costs_one_group(
    lab: ResistanceLab, written: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(answer_cache, "AT_ONCE", 5)
    cells = [drafts(seed=10 * i) for i in range(4)]
    counting = answer_cache.sample

    def killed(*given: Any) -> Any:
        if len(written) == 1:
            raise KeyboardInterrupt
        return counting(*given)

    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
        patched.setattr(answer_cache, "sample", killed)
        asked(lab, *cells)
    found = asked(lab, *cells)
    assert written == [5, 5, 5, 1]
    assert found == [sample(model("A", "aligned"), cell, SAMPLING) for cell in cells]


def test_a_broken_file_is_written_anew(lab: ResistanceLab, written: list[int]) -> None:
    before = asked(lab, drafts())
    file = next(lab.cache.folder.iterdir())
    file.write_text(file.read_text()[:20])
    assert asked(lab, drafts()) == before and written == [4, 1]
