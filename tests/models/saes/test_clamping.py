"""Does a clamp move along the asked decoder rows alone?"""

from __future__ import annotations

import pytest
import torch

from mahals.models.saes.autoencoder import Activation, encode
from mahals.models.saes.clamping import Clamp, clamp
from mahals.records import InputError
from tests.support.small_saes import M, small, states


@pytest.mark.parametrize("apply", [True, False])
@pytest.mark.parametrize("activation", ["relu", "jumprelu", "topk"])
def test_clamp_moves_along_the_asked_decoder_rows_alone(
    activation: Activation, apply: bool
) -> None:
    sae, h = small(activation, apply), states(3, 11)
    kept = h.clone()
    at, values = torch.tensor([7, 2]), torch.tensor([1.5, 0.0])
    f = encode(sae, h)
    assert f.shape == (3, 11, M) and bool((f >= 0).all())
    expected = h.clone()
    for i, v in zip(at.tolist(), values.tolist(), strict=True):
        expected += (v - f[..., i : i + 1]) * sae.w_dec[i]
    torch.testing.assert_close(clamp(sae, h, at, values), expected)
    known = f.clone()
    torch.testing.assert_close(clamp(sae, h, at, values, f), expected)
    assert torch.equal(h, kept) and torch.equal(f, known)
    with pytest.raises(InputError, match="activations"):
        clamp(sae, h, at, values, f[..., :3])
    held = Clamp(sae, at, values)
    for known_now in (None, f):
        torch.testing.assert_close(held.made(h, known_now), expected)
        own = h.clone()
        assert held.into(own, known_now) is own
        torch.testing.assert_close(own, expected)
    with pytest.raises(InputError, match="contiguous"):
        held.into(h.expand(2, *h.shape).transpose(0, 1))


@pytest.mark.parametrize("activation", ["relu", "jumprelu", "topk"])
def test_nothing_moves_where_the_latent_has_its_value(activation: Activation) -> None:
    sae, h = small(activation), states(30)
    off = encode(sae, h)[:, 5] == 0
    assert 0 < off.sum() < 30
    moved = clamp(sae, h, torch.tensor([5]), torch.tensor([0.0]))
    assert torch.equal(moved[off], h[off]) and not bool((moved[~off] == h[~off]).all(-1).any())


def test_a_clamp_that_does_not_fit_is_refused() -> None:
    sae, one = small("relu"), torch.ones(1)
    for call in (
        lambda: clamp(sae, states(2), torch.tensor([M]), one),
        lambda: clamp(sae, states(2), torch.tensor([1, 1]), torch.ones(2)),
        lambda: clamp(sae, states(2), torch.tensor([1]), torch.ones(2)),
        lambda: clamp(sae, states(2), torch.tensor([1]), one * torch.nan),
    ):
        with pytest.raises(InputError):
            call()
