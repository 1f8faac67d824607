"""Do latents read and clamp as by hand and as sae-lens does, and are bad files refused?"""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor

from mahals.models.saes.autoencoder import Activation, Sae, decode, encode
from mahals.models.saes.clamping import Clamp, clamp
from mahals.models.saes.files import read_sae, write_sae
from mahals.records import InputError

D, M = 6, 20


def small(activation: Activation, apply: bool = True) -> Sae:
    rng = torch.Generator().manual_seed(3)
    w_enc, b_enc = torch.randn(D, M, generator=rng), torch.randn(M, generator=rng)
    w_dec, b_dec = torch.randn(M, D, generator=rng), torch.randn(D, generator=rng)
    threshold = torch.rand(M, generator=rng) if activation == "jumprelu" else None
    k = 4 if activation == "topk" else None
    return Sae(w_enc, b_enc, w_dec, b_dec, activation, apply, threshold, k)


def by_hand() -> Sae:
    w_enc = torch.tensor([[1.0, 0.0, 1.0], [0.0, 1.0, -1.0]])
    w_dec = torch.tensor([[1.0, 0.0], [0.0, 2.0], [3.0, 3.0]])
    b_enc, b_dec = torch.tensor([0.0, 0.5, 0.0]), torch.tensor([1.0, 1.0])
    return Sae(w_enc, b_enc, w_dec, b_dec, "relu", True)


def states(*shape: int) -> Tensor:
    return torch.randn(*shape, D, generator=torch.Generator().manual_seed(7))


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


def test_topk_keeps_at_most_k_and_never_a_negative_one() -> None:
    f = encode(small("topk"), states(50))
    assert bool(((f > 0).sum(-1) <= 4).all()) and bool((f >= 0).all())
    alone = torch.stack([encode(small("topk"), h) for h in states(50)])
    torch.testing.assert_close(f, alone)


@pytest.mark.parametrize("activation", ["relu", "jumprelu", "topk"])
def test_round_trip(activation: Activation, tmp_path: Path) -> None:
    sae = small(activation)
    write_sae(sae, tmp_path / "a")
    back = read_sae(tmp_path / "a", None)
    assert (back.activation, back.k, back.apply_b_dec_to_input) == (activation, sae.k, True)
    assert torch.equal(encode(back, states(5)), encode(sae, states(5)))
    assert torch.equal(back.w_dec, sae.w_dec)


def edit(folder: Path, **changes: object) -> None:
    config = json.loads((folder / "cfg.json").read_text())
    (folder / "cfg.json").write_text(json.dumps(config | changes))


def test_the_scale_of_the_input_is_folded(tmp_path: Path) -> None:
    sae = small("relu")
    write_sae(sae, tmp_path)
    edit(tmp_path, normalize_activations="expected_average_only_in")
    with pytest.raises(InputError, match="scale"):
        read_sae(tmp_path, None)
    back, h = read_sae(tmp_path, 2.5), states(9)
    torch.testing.assert_close(encode(back, h), encode(sae, 2.5 * h))
    f = encode(sae, 2.5 * h)
    torch.testing.assert_close(decode(back, f), decode(sae, f) / 2.5)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("architecture", "gated"),
        ("normalize_activations", "layer_norm"),
        ("reshape_activations", "hook_z"),
        ("activation_fn_str", "tanh-relu"),
        ("finetuning_scaling_factor", True),
        ("apply_b_dec_to_input", None),
        ("d_sae", M + 1),
    ],
)
def test_what_is_not_supported_is_refused_by_name(key: str, value: object, tmp_path: Path) -> None:
    write_sae(small("relu"), tmp_path)
    edit(tmp_path, **{key: value})
    with pytest.raises(InputError, match=r"W_enc" if key == "d_sae" else key):
        read_sae(tmp_path, None)


def test_bad_files_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"cfg\.json"):
        read_sae(tmp_path, None)
    write_sae(small("relu"), tmp_path)
    edit(tmp_path, architecture="jumprelu")  # without its thresholds
    with pytest.raises(InputError, match="threshold"):
        read_sae(tmp_path, None)
    (tmp_path / "sae_weights.safetensors").write_bytes(b"no tensors")
    with pytest.raises(InputError, match="safetensors"):
        read_sae(tmp_path, None)


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
    one = torch.ones(1)
    for call in (
        lambda: encode(sae, torch.zeros(2, D + 1)),
        lambda: encode(sae, torch.zeros(2, D, dtype=torch.float64)),
        lambda: decode(sae, torch.zeros(2, M + 1)),
        lambda: clamp(sae, states(2), torch.tensor([M]), one),
        lambda: clamp(sae, states(2), torch.tensor([1, 1]), torch.ones(2)),
        lambda: clamp(sae, states(2), torch.tensor([1]), torch.ones(2)),
        lambda: clamp(sae, states(2), torch.tensor([1]), one * torch.nan),
    ):
        with pytest.raises(InputError):
            call()


@pytest.mark.slow
@pytest.mark.parametrize("apply", [True, False])
@pytest.mark.parametrize("activation", ["relu", "jumprelu", "topk"])
def test_sae_lens_reads_the_same(activation: Activation, apply: bool, tmp_path: Path) -> None:
    lens = pytest.importorskip("sae_lens", reason="sae-lens is an extra: pip install '.[sae]'")
    sae, h = small(activation, apply), states(4, 5)
    write_sae(sae, tmp_path / "ours")
    theirs = lens.SAE.load_from_disk(tmp_path / "ours")
    with torch.no_grad():
        torch.testing.assert_close(theirs.encode(h), encode(sae, h))
        torch.testing.assert_close(theirs.decode(theirs.encode(h)), decode(sae, encode(sae, h)))
    if activation == "topk":
        theirs.cfg.rescale_acts_by_decoder_norm = True
    theirs.save_model(tmp_path / "theirs")
    back = read_sae(tmp_path / "theirs", None)
    with torch.no_grad():
        torch.testing.assert_close(encode(back, h), theirs.encode(h))
        torch.testing.assert_close(decode(back, encode(back, h)), theirs(h))
