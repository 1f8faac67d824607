"""Orthogonalized weights: are they the ablation of a direction at every block?"""

from __future__ import annotations

import pytest
import torch

from mahals.models.steering.orthogonalize import orthogonalized, unwritten
from mahals.records import InputError
from tests.support.tiny_models import fresh

FAMILIES = ("Llama", "Mistral", "Qwen2", "Falcon", "Phi3")


@pytest.mark.parametrize("family", FAMILIES)
def test_weights_without_the_direction_are_the_ablation_everywhere(family: str) -> None:
    one = fresh(family, 5)
    u = torch.randn(one.width, generator=torch.Generator().manual_seed(1))
    changed = orthogonalized(one, u)
    ids = torch.tensor([[5, 9, 12, 40, 7]])
    with torch.no_grad():
        before = one.model(ids).logits
        with unwritten(one, u):
            hooked = one.model(ids).logits
        after = one.model(ids).logits
    torch.testing.assert_close(changed.model(ids).logits, hooked, atol=2e-4, rtol=1e-3)
    assert torch.equal(before, after), "nothing is left behind"
    assert not torch.allclose(before, hooked, atol=1e-2), "and it is no small change"
    with torch.no_grad():
        states = changed.model(ids, output_hidden_states=True).hidden_states[:-1]
    assert max(float((h @ (u / u.norm())).abs().max()) for h in states) < 1e-4


def test_an_output_layer_that_shares_the_embedding_stays() -> None:
    one = fresh("Llama", 5)
    one.model.lm_head.weight = one.model.get_input_embeddings().weight
    head = one.model.lm_head.weight.clone()
    changed = orthogonalized(one, torch.ones(one.width))
    assert torch.equal(changed.model.lm_head.weight, head)
    assert torch.equal(one.model.get_input_embeddings().weight, head), "the original too"


def test_a_norm_after_the_writers_cannot_be_put_into_weights() -> None:
    with pytest.raises(InputError, match="ablate the states"):
        orthogonalized(fresh("Gemma2"), torch.ones(32))
