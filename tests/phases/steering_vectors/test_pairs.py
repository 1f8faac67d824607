"""Pairs: does each method compare what it says, and is an empty answer read or refused?"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from mahals.data.loaders import load_pairs
from mahals.data.splits import Shares
from mahals.maths.vectors.estimators import mean_difference
from mahals.models.activations.capture import capture
from mahals.models.activations.encoding import encode_answers, encode_prompts
from mahals.phases.steering_vectors.measure.pairs import PairReader, PairReading
from tests.support.places import SHARED
from tests.support.tiny_lab import LAYERS, WIDTH, TinyLab, model, planted, refused

REAL = SHARED / "hh-rlhf-harmless-base-test.jsonl.gz"
READING = PairReading("unsafe", "mean", 512, 1, False)


def test_mean_difference_finds_the_planted_direction() -> None:
    generator = torch.Generator().manual_seed(1)
    direction = 20 * torch.nn.functional.normalize(torch.randn(WIDTH, generator=generator), dim=0)
    lab = TinyLab(load=planted(direction))
    reader = PairReader(READING, lab, "A", lab.pairs("extraction"))
    vectors = reader.vectors("mean_difference").values
    unit = direction.numpy() / np.linalg.norm(direction.numpy())
    cosine = vectors @ unit / np.linalg.norm(vectors, axis=1)
    assert cosine.min() > 0.95
    other = PairReader(READING, TinyLab(load=planted(-direction)), "A", lab.pairs("extraction"))
    flipped = other.vectors("mean_difference").values
    assert (flipped @ unit / np.linalg.norm(flipped, axis=1)).max() < -0.95


def test_each_method_compares_what_it_says() -> None:
    lab = TinyLab()
    pairs = lab.pairs("extraction")
    reader = PairReader(replace(READING, texts="balanced", pool="last"), lab, "A", pairs)
    seen = {}
    for role in ("aligned", "base"):
        one = model("A", role)
        encoded = encode_prompts(one.tokenizer, [p.prompt for p in pairs])
        states = []
        with torch.no_grad():
            for e in encoded:
                inner = one.model.model
                rows: list[torch.Tensor] = []
                handles = [
                    b.register_forward_hook(lambda _, __, out, rows=rows: rows.append(out[0, -1]))
                    for b in inner.layers
                ]
                one.model(torch.tensor([e.ids]))
                for handle in handles:
                    handle.remove()
                states.append(torch.stack(rows).double())
        seen[role] = torch.stack(states).numpy()
    expected = mean_difference(seen["aligned"], seen["base"]).values
    np.testing.assert_allclose(reader.vectors("mean_difference").values, expected, atol=2e-5)
    assert set(lab.asked) == {("A", "aligned"), ("A", "base")}
    lab.asked.clear()
    for method in ("contrast", "pca"):
        assert reader.texts(method) == "answers"
        assert reader.vectors(method).values.shape == (LAYERS, WIDTH)
    assert set(lab.asked) == {("A", "base")}, "contrast and pca read one model"


def test_only_unsafe_prompts_are_read_when_asked_and_labels_are_needed_for_it() -> None:
    lab = TinyLab()
    pairs = lab.pairs("extraction")
    samples = PairReader(READING, lab, "A", pairs).vectors("mean_difference").metadata["samples"]
    assert samples == sum(p.label == 0 for p in pairs)
    bare = [replace(p, label=None) for p in pairs]
    said = str(refused(lambda: PairReader(READING, lab, "A", bare).vectors("mean_difference")))
    assert "set steering_vectors.texts to answers" in said


def test_shortened_counts_the_texts_that_lost_their_beginning() -> None:
    lab = TinyLab()
    pairs = lab.pairs("extraction")
    lengths = [len(e.ids) for e in encode_prompts(model("A", "base").tokenizer, _unsafe(pairs))]
    for limit in (min(lengths), max(lengths) - 1, max(lengths)):
        reader = PairReader(replace(READING, tokens=limit), lab, "A", pairs)
        assert reader.shortened("mean_difference") == sum(n > limit for n in lengths)


def _unsafe(pairs: Any) -> list[str]:
    return [p.prompt for p in pairs if p.label == 0]


ANSWERS = PairReading("answers", "mean", 512, 1, False)
PAIRS = TinyLab().pairs("extraction")


def test_an_empty_answer_is_read_where_it_would_begin() -> None:
    """By hand: the states of pair 1 are those of its prompt with the generation prompt."""
    pairs = list(TinyLab().pairs("extraction"))[:5]
    pairs[1] = replace(pairs[1], chosen="")
    pairs[3] = replace(pairs[3], rejected="")
    lab = TinyLab()
    reader = PairReader(replace(ANSWERS, pool="last"), lab, "A", pairs)
    sides = []
    for role in ("aligned", "base"):
        one = lab.load("A", role)
        texts = [
            encode_answers(one.tokenizer, [p.prompt], [p.chosen])[0]
            if p.chosen
            else encode_prompts(one.tokenizer, [p.prompt])[0]
            for p in pairs
        ]
        alone = [capture(one, [text], list(range(one.layers)), "last") for text in texts]
        sides.append(torch.cat(alone).double().numpy())
    found = reader.vectors("mean_difference")
    np.testing.assert_allclose(found.values, mean_difference(*sides).values, atol=1e-5)
    assert found.metadata["samples"] == 5
    assert (reader.empty("mean_difference"), reader.empty("contrast")) == (1, 2)
    by_mean = PairReader(ANSWERS, TinyLab(), "A", pairs)
    said = str(refused(lambda: by_mean.vectors("contrast")))
    assert "steering_vectors.pool" in said and "1 of 5" in said


def test_halves_do_not_follow_the_order_of_the_lines() -> None:
    """Lines that take turns between two kinds: the halves of the vector hold both."""
    pairs = list(TinyLab().pairs("extraction"))[:40]
    turns = [
        replace(p, axiom=None, label=None, chosen="yes", rejected="rain") if i % 2 else
        replace(p, axiom=None, label=None, chosen="rain", rejected="yes")
        for i, p in enumerate(pairs)
    ]  # fmt: skip
    reader = PairReader(replace(ANSWERS, pool="last"), TinyLab(), "A", turns)
    chosen, rejected = reader.states("contrast")
    first = (chosen - rejected)[:, 0]
    kinds = (first @ first[0] > 0).astype(int)
    assert 0.2 < kinds[::2].mean() < 0.8 and 0.2 < kinds[1::2].mean() < 0.8
    shuffled = PairReader(replace(ANSWERS, pool="last"), TinyLab(), "A", turns[::-1])
    np.testing.assert_allclose(
        shuffled.vectors("contrast").split_half, reader.vectors("contrast").split_half, atol=1e-5
    )


def test_neighbours_are_of_one_axiom_and_label() -> None:
    reader = PairReader(replace(ANSWERS, texts="balanced"), TinyLab(), "A", list(PAIRS))
    axioms = reader.axioms()
    assert axioms == sorted(axioms, key=str) and len(axioms) == len(PAIRS)
    unsafe = PairReader(replace(ANSWERS, texts="unsafe"), TinyLab(), "A", list(PAIRS)).axioms()
    assert len(unsafe) == sum(p.label == 0 for p in PAIRS)


def test_every_row_of_states_has_its_category() -> None:
    """The axiom of the very pair: what a shuffle keeps in balance."""
    lab = TinyLab()
    reader = PairReader(replace(READING, texts="unsafe"), lab, "A", PAIRS[:30])
    for method in ("mean_difference", "contrast"):
        found = reader.categories(method)
        assert len(found) == len(reader.states(method)[0])
        unsafe = [p.axiom for p in PAIRS[:30] if p.label == 0 or method == "contrast"]
        assert sorted(found, key=str) == sorted(unsafe, key=str) and len(set(found)) > 1


def test_states_are_read_once_and_each_reading_is_reported() -> None:
    said: list[tuple[str, int, int]] = []

    class Told(TinyLab):
        def report(self, what: str, done: int, total: int) -> None:
            said.append((what, done, total))

    lab = Told()
    reader = PairReader(replace(ANSWERS, texts="balanced", pool="last"), lab, "A", PAIRS[:12])
    methods = ("mean_difference", "svd_k", "contrast", "pca", "probe")
    reader.read(methods)
    assert [s[1:] for s in said] == [(0, 4), (1, 4), (2, 4), (3, 4), (4, 4)]
    before = list(lab.asked)
    for method in methods:
        reader.shuffled(reader.vectors(method), method, 2, 0)
    assert lab.asked == before


def test_unsafe_texts_of_safe_pairs_alone_are_refused() -> None:
    safe = [p for p in PAIRS if p.label == 1]
    reader = PairReader(replace(ANSWERS, texts="unsafe"), TinyLab(), "A", safe)
    said = str(refused(lambda: reader.vectors("mean_difference")))
    assert "safe prompts alone" in said and "steering_vectors.texts" in said


def test_one_pair_is_refused_by_every_method() -> None:
    for method in ("mean_difference", "svd_k", "contrast", "pca", "probe"):
        reader = PairReader(replace(ANSWERS, texts="balanced"), TinyLab(), "A", PAIRS[:1])
        assert "n >= " in str(refused(lambda r=reader, m=method: r.vectors(m)))


@pytest.mark.shared_data
@pytest.mark.skipif(not REAL.exists(), reason="../shared/data is absent")
@pytest.mark.parametrize("texts", ["balanced", "answers"])
def test_human_preference_pairs_make_vectors_of_prompts_and_of_answers(texts: Any) -> None:
    """They carry no label and no category, and some begin with earlier turns."""
    pairs = load_pairs(f"hh-rlhf?path={REAL}", Shares(2, 2, 2, 4)).items[:24]
    reading = PairReading(texts, "last", 48, 1, False)
    reader = PairReader(reading, TinyLab(), "A", pairs)
    for method in ("mean_difference", "contrast"):
        found = reader.vectors(method)
        assert found.values.shape == (LAYERS, WIDTH) and np.isfinite(found.values).all()
        assert reader.shuffled(found, method, 2, 0).shape == (2, LAYERS, WIDTH)
    assert set(reader.categories("contrast")) == {None}
    unsafe = PairReader(replace(reading, texts="unsafe"), TinyLab(), "A", pairs)
    said = str(refused(lambda: unsafe.vectors("mean_difference")))
    assert "pairs without labels" in said and "answers" in said
