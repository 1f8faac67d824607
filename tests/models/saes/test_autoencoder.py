"""Are latents read and written as by hand, and bad shapes refused?"""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from mahals.models.saes.autoencoder import Sae, decode, encode
from mahals.models.saes.clamping import clamp
from mahals.records import InputError
from tests.support.small_saes import D, M, small, states


def by_hand() -> Sae:
    w_enc = torch.tensor([[1.0, 0.0, 1.0], [0.0, 1.0, -1.0]])
    w_dec = torch.tensor([[1.0, 0.0], [0.0, 2.0], [3.0, 3.0]])
    b_enc, b_dec = torch.tensor([0.0, 0.5, 0.0]), torch.tensor([1.0, 1.0])
    return Sae(w_enc, b_enc, w_dec, b_dec, "relu", True)


def test_by_hand() -> None:
    sae, h = by_hand(), torch.tensor([[3.0, 2.0]])  # h - b_dec = (2, 1); z = (2, 1.5, 1)
    assert encode(sae, h).tolist() == [[2.0, 1.5, 1.0]]
    assert encode(replace(sae, apply_b_dec_to_input=False), h).tolist() == [[3.0, 2.5, 1.0]]
    jump = replace(sae, activation="jumprelu", threshold=torch.tensor([2.0, 1.0, 0.0]))
    assert encode(jump, h).tolist() == [[0.0, 1.5, 1.0]]  # at the threshold is still off
    below = replace(jump, threshold=torch.full((3,), -9.0))
    assert encode(below, -h).tolist() == encode(sae, -h).tolist() != encode(sae, h).tolist()
    assert encode(replace(sae, activation="topk", k=2), h).tolist() == [[2.0, 1.5, 0.0]]
    assert decode(sae, torch.tensor([[2.0, 1.5, 1.0]])).tolist() == [[6.0, 7.0]]
    moved = clamp(sae, h, torch.tensor([1]), torch.tensor([4.0]))
    assert moved.tolist() == [[3.0, 2.0 + 2.5 * 2.0]]


def test_topk_keeps_at_most_k_and_never_a_negative_one() -> None:
    f = encode(small("topk"), states(50))
    assert bool(((f > 0).sum(-1) <= 4).all()) and bool((f >= 0).all())
    alone = torch.stack([encode(small("topk"), h) for h in states(50)])
    torch.testing.assert_close(f, alone)


def test_bad_shapes_and_numbers_are_refused() -> None:
    sae = small("relu")
    for change in (
        {"b_enc": torch.zeros(M + 1)},
        {"w_dec": sae.w_dec.T},
        {"b_dec": torch.full((D,), torch.nan)},
        {"b_dec": torch.zeros(D, dtype=torch.float64)},
        {"threshold": torch.zeros(M)},
        {"activation": "topk"},
        {"activation": "topk", "k": M + 1},
        {"activation": "gelu"},
    ):
        with pytest.raises(InputError):
            replace(sae, **change)  # type: ignore[arg-type]
    for call in (
        lambda: encode(sae, torch.zeros(2, D + 1)),
        lambda: encode(sae, torch.zeros(2, D, dtype=torch.float64)),
        lambda: decode(sae, torch.zeros(2, M + 1)),
    ):
        with pytest.raises(InputError):
            call()
