"""Are planted directions found, is quality what it says, and are the bytes the seed's alone?"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor

from mahals.models.saes.autoencoder import Sae, decode, encode, tensors_of
from mahals.models.saes.files import read_sae, write_sae
from mahals.models.saes.training import SaeQuality, SaeTraining, sae_quality, train_sae
from mahals.records import InputError
from tests.support.small_saes import D, small, states

D_IN, PLANTED, ACTIVE = 24, 36, 3
TRAINING = SaeTraining(latents=48, k=ACTIVE, steps=600, rows=128, rate=5e-3)


def planted(n: int) -> tuple[Tensor, Tensor]:
    """Directions (m, d) of norm 1, and states (n, d) in each of which three are, far from 0."""
    rng = torch.Generator().manual_seed(1)
    rows = torch.randn(PLANTED, D_IN, generator=rng)
    rows /= rows.norm(dim=1, keepdim=True)
    at = torch.rand(n, PLANTED, generator=rng).topk(ACTIVE, dim=1).indices
    often = torch.zeros(n, PLANTED).scatter(1, at, 1 + torch.rand(n, ACTIVE, generator=rng))
    noise = torch.randn(n, D_IN, generator=rng)
    return rows, 40 + 30 * (often @ rows) + noise


@pytest.fixture(scope="module")
def trained() -> Sae:
    return train_sae(planted(9000)[1][:8000], TRAINING, seed=3)


def test_planted_directions_are_found_in_raw_states(trained: Sae) -> None:
    rows, h = planted(9000)
    cosine = (rows @ trained.w_dec.T).amax(dim=1)
    assert float((cosine > 0.9).double().mean()) > 0.85
    torch.testing.assert_close(trained.w_dec.norm(dim=1), torch.ones(TRAINING.latents))
    found = sae_quality(trained, h[8000:])
    assert found.fvu < 0.1 and found.l0 == pytest.approx(ACTIVE, abs=0.05)
    best = (rows @ trained.w_dec.T).argmax(dim=1)[cosine.argmax()]
    f = encode(trained, h[8000:])[:, best]
    assert float(f[f > 0].mean()) == pytest.approx(45, rel=0.25), "activations are in raw units"


def test_quality_by_hand() -> None:
    sae, h = small("topk"), states(1027)  # three more than are read at once
    f = encode(sae, h)
    left = ((h - decode(sae, f)) ** 2).sum() / ((h - h.mean(dim=0)) ** 2).sum()
    dead = 1 - (f > 0).any(dim=0).double().mean()
    expected = SaeQuality(float(left), float((f > 0).sum() / 1027), float(dead))
    assert vars(sae_quality(sae, h)) == pytest.approx(vars(expected), rel=1e-5)
    assert sae_quality(sae, h.double()) == sae_quality(sae, h)
    with pytest.raises(InputError, match="states"):
        sae_quality(sae, torch.ones(9, D))


def test_an_exact_autoencoder_explains_all() -> None:
    eye = torch.eye(D)
    both = Sae(torch.cat([eye, -eye], 1), torch.zeros(2 * D), torch.cat([eye, -eye]),
               torch.zeros(D), "relu", True)  # fmt: skip
    found = sae_quality(both, states(50))
    assert found.fvu < 1e-12 and found.l0 == D and found.dead == 0


def test_the_seed_decides_the_bytes(trained: Sae, tmp_path: Path) -> None:
    h, short = planted(500)[1], replace(TRAINING, steps=20)
    for name, seed in (("a", 3), ("b", 3), ("c", 4)):
        torch.manual_seed(len(name) + seed)
        write_sae(tmp_path / name, train_sae(h, short, seed))
    a, b, c = ((tmp_path / n / "sae_weights.safetensors").read_bytes() for n in "abc")
    assert a == b != c
    write_sae(tmp_path / "kept", trained)
    back, own = tensors_of(read_sae(tmp_path / "kept", None)), tensors_of(trained)
    assert all(torch.equal(back[name], own[name]) for name in own)


def test_other_units_and_types_train_the_same(trained: Sae) -> None:
    """States moved and scaled: the same decoder, as all is scaled inside."""
    h, short = planted(500)[1], replace(TRAINING, steps=50)
    one = train_sae(h, short, 3)
    other = train_sae((1000 * h + 7).double(), short, 3)
    torch.testing.assert_close(one.w_dec, other.w_dec, rtol=0, atol=1e-3)
    assert sae_quality(one, h).fvu == pytest.approx(sae_quality(other, 1000 * h + 7).fvu, rel=1e-3)


def test_what_cannot_be_trained_is_refused() -> None:
    h = planted(50)[1]
    for bad in (h[:1], h[0], torch.ones(9, 4), h.round().long(), h * torch.nan):
        with pytest.raises(InputError, match="states"):
            train_sae(bad, TRAINING, 0)
    for wrong in ({"k": 49}, {"steps": 0}, {"rate": 0.0}, {"rate": float("inf")}):
        with pytest.raises(InputError, match="no more active latents than there are"):
            train_sae(h, replace(TRAINING, **wrong), 0)
