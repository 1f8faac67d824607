"""Are the organisms real models of their families, and is packing invisible to them?"""

from __future__ import annotations

from itertools import islice
from typing import Any

import pytest
import torch
import yaml
from transformers import PreTrainedTokenizerFast

from mahals.data.world.grammar import World
from mahals.models.organisms.documents import EARLY, Writer
from mahals.models.organisms.fitting import answer_tokens, head_logits, right_padded
from mahals.models.organisms.packing import (
    IGNORED,
    EncodedDocument,
    encode,
    own_document,
    pack,
    packed_states,
)
from mahals.models.organisms.shapes import FAMILIES, OrganismShape, build
from mahals.models.organisms.tokenizer import train_tokenizer
from mahals.records import InputError
from tests.support.places import ROOT

REGISTRY = ROOT / "benchmarks" / "models.yaml"
SHAPES = {
    key: OrganismShape(**entry["organism"])
    for key, entry in yaml.safe_load(REGISTRY.read_text(encoding="utf-8")).items()
}
ONE_OF_EACH = {shape.family: key for key, shape in reversed(SHAPES.items())}


@pytest.fixture(scope="module")
def tokenizer() -> PreTrainedTokenizerFast:
    return train_tokenizer(World(0))


@pytest.fixture(scope="module")
def documents(tokenizer: PreTrainedTokenizerFast) -> list[EncodedDocument]:
    return encode(tokenizer, list(islice(Writer(World(0), 1).base(EARLY), 60)), False)


def test_the_registry_has_six_families_and_eight_different_shapes() -> None:
    assert {s.family for s in SHAPES.values()} == set(FAMILIES)
    assert len(set(SHAPES.values())) == len(SHAPES) == 8


@pytest.mark.parametrize("key", SHAPES)
def test_every_linear_is_a_multiple_of_32(key: str, tokenizer: PreTrainedTokenizerFast) -> None:
    model = build(SHAPES[key], tokenizer, 0)
    linears = [m for m in model.modules() if isinstance(m, torch.nn.Linear)]
    assert linears and all(m.out_features % 32 == 0 for m in linears)
    assert type(model).__name__ == f"{SHAPES[key].family}ForCausalLM"
    assert type(model).__module__.startswith("transformers.models.")
    assert model.config.num_hidden_layers == SHAPES[key].layers
    assert model.config.hidden_size == SHAPES[key].width


def test_a_width_that_is_no_multiple_of_32_is_refused(tokenizer: PreTrainedTokenizerFast) -> None:
    with pytest.raises(InputError, match="multiple of 32"):
        build(OrganismShape("Llama", 60, 2, 2, 2, 64, False), tokenizer, 0)


def test_an_unknown_family_is_refused(tokenizer: PreTrainedTokenizerFast) -> None:
    with pytest.raises(InputError, match="did you mean 'Llama'"):
        build(OrganismShape("Lama", 64, 2, 2, 2, 64, False), tokenizer, 0)


def test_the_seed_decides_the_weights(tokenizer: PreTrainedTokenizerFast) -> None:
    shape, before = SHAPES["Llama3_8B"], torch.random.get_rng_state()
    one, two, other = (build(shape, tokenizer, seed).state_dict() for seed in (0, 0, 1))
    assert all(torch.equal(one[k], two[k]) for k in one)
    assert any(not torch.equal(one[k], other[k]) for k in one)
    assert torch.equal(before, torch.random.get_rng_state())


@pytest.mark.parametrize("family", sorted(ONE_OF_EACH))
def test_packed_logits_equal_unpacked(
    family: str, tokenizer: PreTrainedTokenizerFast, documents: list[EncodedDocument]
) -> None:
    model = build(SHAPES[ONE_OF_EACH[family]], tokenizer, 3)
    for parameter in model.parameters():  # large enough for a leak to show
        parameter.data *= 3
    batch = pack(iter(documents), 2, 128)
    with torch.no_grad():
        packed = head_logits(model, packed_states(model, batch))
        for row in range(2):
            starts = (batch.positions[row] == 0).nonzero()[:, 0].tolist()
            assert len(starts) > 2
            for start, end in zip(starts, [*starts[1:], 128], strict=True):
                alone = model(input_ids=batch.ids[row : row + 1, start:end]).logits[0]
                torch.testing.assert_close(packed[row, start:end], alone, atol=2e-4, rtol=1e-4)


@pytest.mark.parametrize("family", sorted(ONE_OF_EACH))
def test_padding_on_the_right_is_never_seen(
    family: str, tokenizer: PreTrainedTokenizerFast, documents: list[EncodedDocument]
) -> None:
    model = build(SHAPES[ONE_OF_EACH[family]], tokenizer, 3)
    with torch.no_grad():
        together, owner = answer_tokens(model, right_padded(documents[:6]))
        for row, document in enumerate(documents[:6]):
            alone, _ = answer_tokens(model, right_padded([document]))
            torch.testing.assert_close(together[owner == row], alone, atol=1e-4, rtol=1e-4)


def test_pack_by_hand() -> None:
    streams: Any = iter(
        [
            EncodedDocument([1, 7, 8, 2], 1),
            EncodedDocument([1, 9, 5, 6, 2], 3),
            EncodedDocument([1, 4], 1),
        ]
    )
    batch = pack(streams, 1, 7)
    assert batch.ids.tolist() == [[1, 7, 8, 2, 1, 9, 5]]
    assert batch.positions.tolist() == [[0, 1, 2, 3, 0, 1, 2]]
    assert batch.targets.tolist() == [[7, 8, 2, IGNORED, IGNORED, IGNORED, IGNORED]]
    seen = own_document(batch.positions)[0, 0].int().tolist()
    assert seen[3] == [1, 1, 1, 1, 0, 0, 0]
    assert seen[5] == [0, 0, 0, 0, 1, 1, 0]


def test_right_padded_by_hand() -> None:
    batch = right_padded([EncodedDocument([1, 7, 8, 2], 2), EncodedDocument([1, 9], 1)])
    assert batch.ids.tolist() == [[1, 7, 8, 2], [1, 9, 0, 0]]
    assert batch.targets.tolist() == [[IGNORED, 8, 2, IGNORED], [9] + [IGNORED] * 3]
