"""Are the organisms real models of their families, decided by their seed?"""

from __future__ import annotations

import pytest
import torch
from transformers import PreTrainedTokenizerFast

from mahals.models.organisms.shapes import FAMILIES, OrganismShape, build
from mahals.records import InputError
from tests.support.organism_training import SHAPES


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
