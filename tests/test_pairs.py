"""Is a preference pair with an empty answer read, counted, or refused, as its pool allows?"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch

from mahals.maths.vectors.estimators import mean_difference
from mahals.models.activations.capture import capture
from mahals.models.activations.encoding import encode_answers, encode_prompts
from mahals.phases.steering_vectors.measure.pairs import PairReader, PairReading
from tests.support.tiny_lab import TinyLab, refused

READING = PairReading("answers", "mean", 512, 1, False)
PAIRS = TinyLab().pairs("extraction")


def test_an_empty_answer_is_read_where_it_would_begin() -> None:
    """By hand: the states of pair 1 are those of its prompt with the generation prompt."""
    pairs = list(TinyLab().pairs("extraction"))[:5]
    pairs[1] = replace(pairs[1], chosen="")
    pairs[3] = replace(pairs[3], rejected="")
    lab = TinyLab()
    reader = PairReader(replace(READING, pool="last"), lab, "A", pairs)
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
    by_mean = PairReader(READING, TinyLab(), "A", pairs)
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
    reader = PairReader(replace(READING, pool="last"), TinyLab(), "A", turns)
    chosen, rejected = reader.states("contrast")
    first = (chosen - rejected)[:, 0]
    kinds = (first @ first[0] > 0).astype(int)
    assert 0.2 < kinds[::2].mean() < 0.8 and 0.2 < kinds[1::2].mean() < 0.8
    shuffled = PairReader(replace(READING, pool="last"), TinyLab(), "A", turns[::-1])
    np.testing.assert_allclose(
        shuffled.vectors("contrast").split_half, reader.vectors("contrast").split_half, atol=1e-5
    )


def test_neighbours_are_of_one_axiom_and_label() -> None:
    reader = PairReader(replace(READING, texts="balanced"), TinyLab(), "A", list(PAIRS))
    axioms = reader.axioms()
    assert axioms == sorted(axioms, key=str) and len(axioms) == len(PAIRS)
    unsafe = PairReader(replace(READING, texts="unsafe"), TinyLab(), "A", list(PAIRS)).axioms()
    assert len(unsafe) == sum(p.label == 0 for p in PAIRS)


def test_states_are_read_once_and_each_reading_is_reported() -> None:
    said: list[tuple[str, int, int]] = []

    class Told(TinyLab):
        def report(self, what: str, done: int, total: int) -> None:
            said.append((what, done, total))

    lab = Told()
    reader = PairReader(replace(READING, texts="balanced", pool="last"), lab, "A", PAIRS[:12])
    methods = ("mean_difference", "svd_k", "contrast", "pca", "probe")
    reader.read(methods)
    assert [s[1:] for s in said] == [(0, 4), (1, 4), (2, 4), (3, 4), (4, 4)]
    before = list(lab.asked)
    for method in methods:
        reader.shuffled(reader.vectors(method), method, 2, 0)
    assert lab.asked == before


def test_unsafe_texts_of_safe_pairs_alone_are_refused() -> None:
    safe = [p for p in PAIRS if p.label == 1]
    reader = PairReader(replace(READING, texts="unsafe"), TinyLab(), "A", safe)
    said = str(refused(lambda: reader.vectors("mean_difference")))
    assert "safe prompts alone" in said and "steering_vectors.texts" in said


def test_one_pair_is_refused_by_every_method() -> None:
    for method in ("mean_difference", "svd_k", "contrast", "pca", "probe"):
        reader = PairReader(replace(READING, texts="balanced"), TinyLab(), "A", PAIRS[:1])
        assert "n >= " in str(refused(lambda r=reader, m=method: r.vectors(m)))
