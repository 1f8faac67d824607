"""Made vectors: does another value of the suite score them anew without making them again?"""

from __future__ import annotations

from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from mahals.models.activations import cache as reading_cache
from mahals.phase import StatesPlace
from mahals.phases.steering_vectors import PHASE
from mahals.phases.steering_vectors.measure import made
from mahals.phases.steering_vectors.measure import pairs as pair_states
from mahals.phases.steering_vectors.measure.made import Shuffles, made_vectors
from mahals.phases.steering_vectors.measure.pairs import PairReader, PairReading
from mahals.usage import note_halved, recording
from tests.phases.test_steering_vectors import METHODS, PARAMS
from tests.support.tiny_lab import SUITE, TinyLab, run

READING = PairReading("balanced", "last", 512, 1, False)
HOW = Shuffles(2, 7)


def lab_at(folder: Path) -> TinyLab:
    return TinyLab(cache=StatesPlace(folder, 1 << 28))


def reader_of(lab: TinyLab) -> PairReader:
    return PairReader(READING, lab, "A", lab.pairs("extraction"))


def count_readings(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """A list that grows by one for every set of states that is asked for."""
    said: list[int] = []
    real = pair_states.cached_states

    def read(*asked: Any) -> Any:
        said.append(1)
        return real(*asked)

    monkeypatch.setattr(pair_states, "cached_states", read)
    return said


def test_another_suite_makes_no_vectors_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    params = replace(PARAMS, methods=("contrast", "probe"), left_out="none")
    first = lab_at(tmp_path)
    before = run(PHASE, params, first)
    said = count_readings(monkeypatch)
    other = replace(params, suite=replace(SUITE, answers=2, dose_kl=0.2, version="other"))
    second = lab_at(tmp_path)
    after = run(PHASE, other, second)
    assert said == [], "states were read"
    for name, tensors in first.files.items():
        assert all(torch.equal(t, second.files[name][k]) for k, t in tensors.items())
    scores = ("selection_gain", "selection_gain_low", "selection_gain_high")
    for a, b in zip(before, after, strict=True):
        assert replace(a, **dict.fromkeys(scores)) == replace(b, **dict.fromkeys(scores))
    assert [a.selection_gain for a in before] != [b.selection_gain for b in after]


@pytest.mark.parametrize("method", METHODS)
def test_what_comes_back_is_what_was_made(tmp_path: Path, method: Any) -> None:
    lab = lab_at(tmp_path)
    reader = PairReader(READING, lab, "A", lab.pairs("extraction"))
    plain = made_vectors(reader, [method], HOW, StatesPlace(tmp_path, 0))[method]
    made_vectors(reader, [method], HOW, lab.cache)
    (file,) = tmp_path.glob("*.vectors")
    again = made_vectors(reader, [method], HOW, lab.cache)[method]
    for name, value in vars(plain.vectors).items():
        other = getattr(again.vectors, name)
        same = np.array_equal(value, other) if isinstance(value, np.ndarray) else value == other
        assert same, name
    assert plain.shuffled is not None and np.array_equal(plain.shuffled, again.shuffled)
    assert file.stat().st_size > 0


def test_other_pairs_shuffles_or_bytes_are_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lab = lab_at(tmp_path)
    every = lab.pairs("extraction")

    def files(reading: PairReading, some: Any, how: Shuffles) -> int:
        made_vectors(PairReader(reading, lab, "A", some), ["contrast"], how, lab.cache)
        return len(list(tmp_path.glob("*.vectors")))

    assert files(READING, every, HOW) == files(READING, every, HOW) == 1
    assert files(READING, every[1:], HOW) == 2
    assert files(READING, every, Shuffles(2, 8)) == 3
    assert files(replace(READING, pool="mean"), every, HOW) == 4
    for file in tmp_path.glob("*.vectors"):
        content = bytearray(file.read_bytes())
        content[-1] ^= 1
        file.write_bytes(content)
    said = count_readings(monkeypatch)
    files(READING, every, HOW)
    assert said, "a broken file was believed"


def test_other_reading_code_or_libraries_make_them_again() -> None:
    assert set(made.CODE.split()) >= {reading_cache.CODE, version("scikit-learn")}


def test_vectors_of_halved_batches_are_not_kept_and_their_budgets_are_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lab = lab_at(tmp_path)
    with recording() as first:
        made_vectors(reader_of(lab), ["contrast"], HOW, lab.cache)
    with recording() as again:
        made_vectors(reader_of(lab), ["contrast"], HOW, lab.cache)
    assert first.budgets == again.budgets != set()
    real = PairReader.read

    def short(self: PairReader, methods: Any) -> None:
        note_halved()
        real(self, methods)

    monkeypatch.setattr(PairReader, "read", short)
    with recording() as used:
        made_vectors(reader_of(lab), ["contrast"], Shuffles(2, 8), lab.cache)
    assert used.halved == 1
    assert len(list(tmp_path.glob("*.vectors"))) == 1
