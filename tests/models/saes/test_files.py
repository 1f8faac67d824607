"""Do autoencoders come back from files, also sae-lens's, and are bad files refused?"""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from mahals.models.saes.autoencoder import Activation, decode, encode
from mahals.models.saes.files import read_sae, write_sae
from mahals.records import InputError
from tests.support.small_saes import M, small, states


@pytest.mark.parametrize("activation", ["relu", "jumprelu", "topk"])
def test_round_trip(activation: Activation, tmp_path: Path) -> None:
    sae = small(activation)
    write_sae(tmp_path / "a", sae)
    back = read_sae(tmp_path / "a", None)
    assert (back.activation, back.k, back.apply_b_dec_to_input) == (activation, sae.k, True)
    assert torch.equal(encode(back, states(5)), encode(sae, states(5)))
    assert torch.equal(back.w_dec, sae.w_dec)


def edit(folder: Path, **changes: object) -> None:
    config = json.loads((folder / "cfg.json").read_text())
    (folder / "cfg.json").write_text(json.dumps(config | changes))


def test_the_scale_of_the_input_is_folded(tmp_path: Path) -> None:
    sae = small("relu")
    write_sae(tmp_path, sae)
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
    write_sae(tmp_path, small("relu"))
    edit(tmp_path, **{key: value})
    with pytest.raises(InputError, match=r"W_enc" if key == "d_sae" else key):
        read_sae(tmp_path, None)


def test_bad_files_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"cfg\.json"):
        read_sae(tmp_path, None)
    write_sae(tmp_path, small("relu"))
    edit(tmp_path, architecture="jumprelu")  # without its thresholds
    with pytest.raises(InputError, match="threshold"):
        read_sae(tmp_path, None)
    (tmp_path / "sae_weights.safetensors").write_bytes(b"no tensors")
    with pytest.raises(InputError, match="safetensors"):
        read_sae(tmp_path, None)


@pytest.mark.slow
@pytest.mark.parametrize("apply", [True, False])
@pytest.mark.parametrize("activation", ["relu", "jumprelu", "topk"])
def test_sae_lens_reads_the_same(activation: Activation, apply: bool, tmp_path: Path) -> None:
    lens = pytest.importorskip("sae_lens", reason="sae-lens is an extra: pip install '.[sae]'")
    sae, h = small(activation, apply), states(4, 5)
    write_sae(tmp_path / "ours", sae)
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
