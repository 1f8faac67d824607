"""States of two models: are pairs of blocks, states and topics those read text by text?"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from mahals.data.texts import AXIOMS
from mahals.evaluation.transfer.states import (
    TextReading,
    pair_blocks,
    read_pool,
    state_lengths,
    topic_vectors,
)
from mahals.maths.transfer.cka import debiased_cka
from mahals.models.activations.encoding import Encoded, encode_prompts, encode_texts
from tests.support.tiny_lab import DEPTH, LAYERS, TinyLab, lab_with_vectors, prompts, refused

HOW = TextReading("last", "relative_depth")


def read(loaded: Any, encoded: list[Encoded]) -> np.ndarray:
    """(n, L, d): the last token's states after each block, one text at a time, by hooks."""
    rows: list[list[torch.Tensor]] = []
    handles = [
        b.register_forward_hook(lambda _, __, out: rows[-1].append(out[0, -1].detach()))
        for b in loaded.model.model.layers
    ]
    with torch.no_grad():
        for e in encoded:
            rows.append([])
            loaded.model(torch.tensor([e.ids]))
    for handle in handles:
        handle.remove()
    return torch.stack([torch.stack(r) for r in rows]).double().numpy()


def mapping_texts(loaded: Any) -> list[Encoded]:
    asked = encode_prompts(loaded.tokenizer, [p.text for p in prompts("mapping")])
    return [*asked, *encode_texts(loaded.tokenizer, TinyLab().neutral("mapping"))]


def test_both_sides_are_the_models_own_states_at_equal_relative_depth() -> None:
    lab = TinyLab()
    found = pair_blocks(HOW, "C", ("A", "base"), (1, 3), lab)
    assert found.blocks == {1: 2, 3: 5}, "half way of 6 blocks, and the last"
    theirs, ours = (read(lab.load(k, "base"), mapping_texts(lab.load(k, "base"))) for k in "CA")
    for target, (source_states, target_states) in found.sides.items():
        np.testing.assert_allclose(source_states, theirs[:, found.blocks[target]], atol=2e-5)
        np.testing.assert_allclose(target_states, ours[:, target], atol=2e-5)
    count = len(prompts("mapping"))
    assert found.cka == pytest.approx(debiased_cka(theirs[:, 5], ours[:, 3]), abs=1e-4)
    alone = debiased_cka(theirs[:count, 5], ours[:count, 3])
    assert found.prompt_cka == pytest.approx(alone, abs=1e-4) != pytest.approx(found.cka, abs=1e-3)
    assert found.clusters[:count] == tuple(p.cluster for p in prompts("mapping"))
    assert len(set(found.clusters[count:])) == len(found.clusters) - count == len(theirs) - count


def test_by_cka_each_block_meets_the_one_most_like_it() -> None:
    lab = TinyLab()
    found = pair_blocks(replace(HOW, layer_match="cka"), "C", ("A", "base"), (0, 2), lab)
    theirs, ours = (read(lab.load(k, "base"), mapping_texts(lab.load(k, "base"))) for k in "CA")
    for target in (0, 2):
        likeness = [debiased_cka(theirs[:, b], ours[:, target]) for b in range(DEPTH)]
        assert found.blocks[target] == int(np.argmax(likeness))
    same = pair_blocks(replace(HOW, layer_match="cka"), "A", ("A", "base"), range(LAYERS), lab)
    assert same.blocks == {b: b for b in range(LAYERS)}


def test_lengths_are_means_over_the_mapping_texts() -> None:
    lab = TinyLab()
    one = lab.load("A", "base")
    found = state_lengths(one, (3, 0), "last", lab)
    lengths = np.linalg.norm(read(one, mapping_texts(one)), axis=2).mean(axis=0)
    assert found == pytest.approx({0: lengths[0], 3: lengths[3]}, rel=1e-5)


def test_a_topic_is_the_difference_of_safe_prompts_of_two_axioms() -> None:
    lab = TinyLab()
    pairing = pair_blocks(HOW, "C", ("A", "base"), (1, 3), lab)
    found = topic_vectors(HOW, "C", pairing, lab)
    one, means = lab.load("C", "base"), []
    for axiom in AXIOMS[:2]:
        safe = [p.text for p in prompts("extraction") if (p.axiom, p.label) == (axiom, 1)]
        means.append(read(one, encode_prompts(one.tokenizer, safe)).mean(axis=0))
    assert set(found) == {2, 5}
    for block in (2, 5):
        np.testing.assert_allclose(found[block], means[0][block] - means[1][block], atol=1e-5)


def test_without_safe_prompts_of_an_axiom_there_is_no_topic() -> None:
    class Unsafe(TinyLab):
        def prompts(self, split: str) -> Any:
            return tuple(p for p in prompts(split) if split != "extraction" or p.label == 0)

    pairing = pair_blocks(HOW, "C", ("A", "base"), (1,), TinyLab())
    said = str(refused(lambda: topic_vectors(HOW, "C", pairing, Unsafe())))
    assert "2 categories" in said and "leave unrelated out of cross_arch.controls" in said


def test_texts_are_read_where_the_vector_was() -> None:
    lab = lab_with_vectors()
    lab.made["steering_vectors", "A"] += [
        replace(lab.made["steering_vectors", "A"][0], method="contrast", pool="mean")
    ]
    assert read_pool(lab, "A", "mean_difference") == "last"
    assert read_pool(lab, "A", "contrast") == "mean"
