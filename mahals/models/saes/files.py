"""SAE files: how is a sparse autoencoder stored?

In sae-lens 6's layout.

cfg.json beside sae_weights.safetensors.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from mahals.models.saes.autoencoder import Activation, Sae, tensors_of, wrong
from mahals.records import unknown

ARCHITECTURES: dict[str, Activation] = {"standard": "relu", "jumprelu": "jumprelu", "topk": "topk"}
CONFIG, WEIGHTS = "cfg.json", "sae_weights.safetensors"
LAYOUT = "6.0.0"  # sae-lens takes a config without a version for one of before 6


def read_sae(folder: Path, scale: float | None) -> Sae:
    """The autoencoder stored in `folder` in sae-lens's layout, in float32.

    `scale` is for `normalize_activations: expected_average_only_in` alone: the number that states
    were multiplied by in training, which the folder does not hold; it is folded into the weights
    (W_enc s, W_dec / s, b_dec / s), so that raw states are read. Decoder norms of topk
    (`rescale_acts_by_decoder_norm`) are folded too. Raises InputError for a missing or broken file,
    a setting that is not supported, and tensors that do not fit.
    """
    config = _config(folder / CONFIG)
    activation = _activation(config)
    _check_scale(config, scale)
    weights = _weights(folder / WEIGHTS, activation)
    if scale is not None:
        weights["W_enc"] = weights["W_enc"] * scale
        weights["W_dec"], weights["b_dec"] = weights["W_dec"] / scale, weights["b_dec"] / scale
    if activation == "topk" and config.get("rescale_acts_by_decoder_norm", False):
        norm = weights["W_dec"].norm(dim=-1)
        weights["W_enc"], weights["b_enc"] = weights["W_enc"] * norm, weights["b_enc"] * norm
        weights["W_dec"] = weights["W_dec"] / norm[:, None]
    made = Sae(
        w_enc=weights["W_enc"],
        b_enc=weights["b_enc"],
        w_dec=weights["W_dec"],
        b_dec=weights["b_dec"],
        activation=activation,
        apply_b_dec_to_input=_of(config, "apply_b_dec_to_input", bool),
        threshold=weights.get("threshold"),
        k=_of(config, "k", int) if activation == "topk" else None,
    )
    shape = (_of(config, "d_in", int), _of(config, "d_sae", int))
    if tuple(made.w_enc.shape) != shape:
        raise wrong("W_enc", f"(d_in, d_sae) of {CONFIG}, {shape}", tuple(made.w_enc.shape))
    return made


def write_sae(folder: Path, sae: Sae) -> None:
    """Writes `folder` (made if missing) so that `read_sae` and sae-lens 6 read the same back."""
    config: dict[str, Any] = {
        "d_in": sae.w_enc.shape[0],
        "d_sae": sae.w_enc.shape[1],
        "dtype": str(sae.w_enc.dtype).removeprefix("torch."),
        "device": "cpu",
        "apply_b_dec_to_input": sae.apply_b_dec_to_input,
        "normalize_activations": "none",
        "reshape_activations": "none",
        "metadata": {"sae_lens_version": LAYOUT},
        "architecture": next(a for a, name in ARCHITECTURES.items() if name == sae.activation),
    }
    config |= {} if sae.k is None else {"k": sae.k, "rescale_acts_by_decoder_norm": False}
    folder.mkdir(parents=True, exist_ok=True)
    save_file({n: t.cpu().contiguous() for n, t in tensors_of(sae).items()}, folder / WEIGHTS)
    (folder / CONFIG).write_text(json.dumps(config, indent=1) + "\n", encoding="utf-8")


def _config(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise wrong(str(path), "a JSON file as sae-lens writes it", error) from error
    if not isinstance(found, dict):
        raise wrong(str(path), "a JSON object", type(found).__name__)
    return found


def _activation(config: dict[str, Any]) -> Activation:
    """The activation function, when nothing else in the settings is outside what is supported."""
    architecture = _of(config, "architecture", str)
    if architecture not in ARCHITECTURES:
        raise unknown("architecture of an SAE", architecture, ARCHITECTURES)
    only: dict[str, tuple[object, ...]] = {
        "reshape_activations": ("none",),
        "finetuning_scaling_factor": (False, None),
        "activation_fn": ("relu",),  # up to sae-lens 5
        "activation_fn_str": ("relu",),
    }
    for key, supported in only.items():
        if key in config and config[key] not in supported:
            raise wrong(f"{key} of an SAE", str(supported[0]), repr(config[key]))
    return ARCHITECTURES[architecture]


def _check_scale(config: dict[str, Any], scale: float | None) -> None:
    normalized = _of(config, "normalize_activations", str)
    if normalized not in ("none", "expected_average_only_in"):
        raise unknown("normalize_activations", normalized, ("none", "expected_average_only_in"))
    if (scale is not None) != (normalized == "expected_average_only_in"):
        raise wrong("scale", "one with expected_average_only_in, none without", scale)
    if scale is not None and not 0 < scale < float("inf"):
        raise wrong("scale", "a finite number above 0", scale)


def _weights(path: Path, activation: Activation) -> dict[str, Tensor]:
    wanted = {"W_enc", "b_enc", "W_dec", "b_dec"}
    wanted |= {"threshold"} if activation == "jumprelu" else set()
    try:
        found = load_file(path)
    except (OSError, SafetensorError) as error:
        raise wrong(str(path), "a safetensors file", error) from error
    if set(found) != wanted:
        raise wrong(str(path), f"the tensors {sorted(wanted)}", sorted(found))
    return {name: tensor.float() for name, tensor in found.items()}


def _of(config: dict[str, Any], key: str, kind: type) -> Any:
    value = config.get(key)
    if type(value) is not kind:
        raise wrong(f"{key} in {CONFIG}", kind.__name__, repr(value))
    return value
