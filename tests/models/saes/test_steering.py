"""Are held latents moved along their decoder rows alone, and is nothing else touched?"""

import pytest
import torch

from mahals.models.saes.steering import Hold
from mahals.records import InputError
from tests.support.held_latents import LATENTS, SILENT, formula, wide
from tests.support.tiny_models import WIDTH


def some_states(dtype=torch.float32):
    return torch.randn(3, 5, WIDTH, generator=torch.Generator().manual_seed(2)).to(dtype)


@pytest.mark.parametrize("activation", ["relu", "jumprelu", "topk"])
def test_states_follow_the_formula(activation):
    hold, states = Hold(1, wide(activation), (7, 2, 30), 1.5), some_states()
    kept = states.clone()
    torch.testing.assert_close(hold.apply(states), formula(hold, states))
    assert torch.equal(states, kept)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("activation", ["relu", "jumprelu", "topk"])
def test_silent_latents_held_at_0_change_no_bit(activation, dtype):
    states = some_states(dtype)
    assert torch.equal(Hold(1, wide(activation), SILENT, 0.0).apply(states), states)
    assert not torch.equal(Hold(1, wide(activation), SILENT, 0.5).apply(states), states)


def test_coarse_states_are_held_in_the_autoencoders_type():
    hold, states = Hold(1, wide(), (7, 2), 1.5), some_states(torch.bfloat16)
    found = hold.apply(states)
    assert found.dtype == torch.bfloat16
    assert torch.equal(found, formula(hold, states.float()).bfloat16())


def test_a_clamp_is_made_once():
    hold = Hold(1, wide(), (7,), 0.0)
    assert hold.clamp is hold.clamp


def test_what_does_not_fit_is_refused():
    for latents, value in (((LATENTS,), 0.0), ((1, 1), 0.0), ((1,), float("nan"))):
        with pytest.raises(InputError):
            Hold(0, wide(), latents, value).apply(some_states())
    with pytest.raises(InputError, match="states"):
        Hold(0, wide(), (1,), 0.0).apply(torch.zeros(2, WIDTH + 1))
