"""Pairs: does each method compare what it says, and find what was planted?"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import torch

from mahals.maths.vectors.estimators import mean_difference
from mahals.models.activations.encoding import encode_prompts
from mahals.phases.steering_vectors.measure.pairs import PairReader, PairReading
from tests.support.tiny_lab import LAYERS, WIDTH, TinyLab, model, planted, refused

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
