"""Is a preference pair with an empty answer read, counted, or refused, as its pool allows?"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch

from mahals.activations import capture, encode_answers, encode_prompts
from mahals.readouts.pairs import PairReader, Reading
from mahals.vectors import mean_difference
from tiny_lab import TinyLab, refused

READING = Reading("answers", "mean", 512, 1, False)


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
