"""What do the latents of a sparse autoencoder read in states, and how is one held at a value?

With h the states (rows of width d), W_enc (d, m), b_enc (m,), W_dec (m, d), b_dec (d,):

    f(h) = act((h - b_dec) W_enc + b_enc)   (b_dec is left out unless `apply_b_dec_to_input`)
    h^   = f W_dec + b_dec

relu: max(0, z). jumprelu: max(0, z) where z > threshold, else 0 (Rajamanoharan et al. 2024).
topk: max(0, z) for the k largest z of a row, else 0 (Gao et al. 2024). On disk the layout of
sae-lens 6: cfg.json beside sae_weights.safetensors.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, cast, get_args

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from mahals.records import InputError, unknown

Activation = Literal["relu", "jumprelu", "topk"]
ARCHITECTURES: dict[str, Activation] = {"standard": "relu", "jumprelu": "jumprelu", "topk": "topk"}
CHUNK = 8  # rows
CONFIG, WEIGHTS = "cfg.json", "sae_weights.safetensors"


@dataclass(frozen=True, eq=False)
class Sae:
    """A sparse autoencoder of m latents on states of width d.

    Raises InputError where shapes, types or numbers do not fit each other.
    """

    w_enc: Tensor  # (d, m)
    b_enc: Tensor  # (m,)
    w_dec: Tensor  # (m, d)
    b_dec: Tensor  # (d,)
    activation: Activation
    apply_b_dec_to_input: bool
    threshold: Tensor | None = None  # (m,), of jumprelu alone
    k: int | None = None  # latents kept a row, of topk alone

    def __post_init__(self) -> None:
        """Checks every field."""
        if self.activation not in get_args(Activation):
            raise unknown("activation of an SAE", self.activation, get_args(Activation))
        if self.w_enc.ndim != 2:
            raise _wrong("W_enc", "(d, m)", tuple(self.w_enc.shape))
        d, m = self.w_enc.shape
        shapes = {"b_enc": (m,), "W_dec": (m, d), "b_dec": (d,), "W_enc": (d, m)}
        if (self.threshold is not None) != (self.activation == "jumprelu"):
            raise _wrong("threshold", "one with jumprelu, none without", self.activation)
        if (self.k is not None) != (self.activation == "topk"):
            raise _wrong("k", "one with topk, none without", self.activation)
        if self.k is not None and not 1 <= self.k <= m:
            raise _wrong("k", f"1 to {m}", self.k)
        for name, tensor in _tensors(self).items():
            shape = shapes.get(name, (m,))
            if tuple(tensor.shape) != shape:
                raise _wrong(name, str(shape), tuple(tensor.shape))
            if tensor.dtype != self.w_enc.dtype or not tensor.is_floating_point():
                raise _wrong(name, f"floats of W_enc's type, {self.w_enc.dtype}", tensor.dtype)
            if not bool(torch.isfinite(tensor).all()):
                raise _wrong(name, "finite numbers", "nan or inf")


@torch.no_grad()
def encode(sae: Sae, states: Tensor) -> Tensor:
    """(..., m): the activation of every latent, >= 0, of states (..., d).

    Formula at the head of this file. One array of the result's size is made.
    Raises InputError for states of another width or type.
    """
    rows = _rows(sae, states)
    if sae.apply_b_dec_to_input:
        rows = rows - sae.b_dec
    z = rows @ sae.w_enc
    for at in range(0, len(z), CHUNK):  # a few rows at a time stay in the processor's cache
        _activate(sae, z[at : at + CHUNK].add_(sae.b_enc), sae.threshold)
    return z.view(*states.shape[:-1], -1)


@torch.no_grad()
def decode(sae: Sae, latents: Tensor) -> Tensor:
    """(..., d): the states f W_dec + b_dec of activations (..., m). Raises InputError."""
    if latents.ndim < 1 or latents.shape[-1] != sae.w_dec.shape[0]:
        raise _wrong("latents", f"(..., {sae.w_dec.shape[0]})", tuple(latents.shape))
    return latents @ sae.w_dec + sae.b_dec


@torch.no_grad()
def clamp(
    sae: Sae,
    states: Tensor,
    latents: Tensor,
    values: Tensor,
    activations: Tensor | None = None,
) -> Tensor:
    """(..., d): states (..., d) with each latent's activation f_i replaced by its value v_i.

    h + sum_i (v_i - f_i(h)) W_dec[i], for `latents` (k,) of distinct indices and `values` (k,):
    what the autoencoder does not explain of a state stays. Nothing moves where f_i is v_i. Only k
    columns are computed; topk needs them all. `activations` (..., m) of these states, if `encode`
    has them already, are read instead. The new state, read again, need not show v_i.
    Raises InputError for indices out of range or twice, and for shapes that do not fit.
    """
    rows, m = _rows(sae, states), sae.w_dec.shape[0]
    _check_latents(latents, values, m)
    if activations is not None:
        now = _known(activations, len(rows), m).index_select(1, latents)
    elif sae.activation == "topk":
        now = encode(sae, rows).index_select(1, latents)
    else:
        columns = sae.w_enc.index_select(1, latents)
        bias = sae.b_enc[latents]
        if sae.apply_b_dec_to_input:
            bias = bias - sae.b_dec @ columns
        threshold = None if sae.threshold is None else sae.threshold[latents]
        now = _activate(sae, torch.addmm(bias, rows, columns), threshold)
    by = torch.sub(values.to(now), now, out=now)
    return torch.addmm(rows, by, sae.w_dec.index_select(0, latents)).view(states.shape)


def _activate(sae: Sae, z: Tensor, threshold: Tensor | None) -> Tensor:
    """The activation function on z (n, m), in place where it can be."""
    if sae.k is not None:
        kept, at = z.topk(sae.k, dim=-1, sorted=False)
        return z.zero_().scatter_(-1, at, kept.relu_())
    if threshold is None:
        return z.relu_()
    return z.mul_(z > threshold.clamp_min(0.0))


def _known(activations: Tensor, n: int, m: int) -> Tensor:
    """Activations as (n, m)."""
    if activations.shape[-1:] != (m,) or activations.numel() != n * m:
        raise _wrong("activations", f"(..., {m}) of {n} states", tuple(activations.shape))
    return activations.reshape(n, m)


def _rows(sae: Sae, states: Tensor) -> Tensor:
    """States as (n, d)."""
    d = sae.w_enc.shape[0]
    if states.ndim < 1 or states.shape[-1] != d or states.dtype != sae.w_enc.dtype:
        got = f"{tuple(states.shape)} of {states.dtype}"
        raise _wrong("states", f"(..., {d}) of {sae.w_enc.dtype}", got)
    return states.reshape(-1, d)


def _check_latents(latents: Tensor, values: Tensor, m: int) -> None:
    if latents.ndim != 1 or latents.dtype != torch.int64:
        raise _wrong("latents", "(k,) of int64", f"{tuple(latents.shape)} of {latents.dtype}")
    if values.shape != latents.shape or not bool(torch.isfinite(values).all()):
        raise _wrong("values", f"{tuple(latents.shape)}, finite", values)
    listed = latents.tolist()
    if len(set(listed)) < len(listed) or any(not 0 <= i < m for i in listed):
        raise _wrong("latents", f"distinct indices from 0 to {m - 1}", listed)


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
        raise _wrong("W_enc", f"(d_in, d_sae) of {CONFIG}, {shape}", tuple(made.w_enc.shape))
    return made


def write_sae(sae: Sae, folder: Path) -> None:
    """Writes `folder` (made if missing) so that `read_sae` and sae-lens 6 read the same back."""
    d, m = sae.w_enc.shape
    config: dict[str, Any] = {
        "d_in": d,
        "d_sae": m,
        "dtype": str(sae.w_enc.dtype).removeprefix("torch."),
        "device": "cpu",
        "apply_b_dec_to_input": sae.apply_b_dec_to_input,
        "normalize_activations": "none",
        "reshape_activations": "none",
        "metadata": {},
        "architecture": next(a for a, name in ARCHITECTURES.items() if name == sae.activation),
    }
    if sae.k is not None:
        config |= {"k": sae.k, "rescale_acts_by_decoder_norm": False}
    folder.mkdir(parents=True, exist_ok=True)
    tensors = {name: t.detach().cpu().contiguous() for name, t in _tensors(sae).items()}
    save_file(tensors, folder / WEIGHTS)
    (folder / CONFIG).write_text(json.dumps(config, indent=1) + "\n", encoding="utf-8")


def _config(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise _wrong(str(path), "a JSON file as sae-lens writes it", error) from error
    if not isinstance(found, dict):
        raise _wrong(str(path), "a JSON object", type(found).__name__)
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
            raise _wrong(f"{key} of an SAE", str(supported[0]), repr(config[key]))
    return ARCHITECTURES[architecture]


def _check_scale(config: dict[str, Any], scale: float | None) -> None:
    normalized = _of(config, "normalize_activations", str)
    if normalized not in ("none", "expected_average_only_in"):
        raise unknown("normalize_activations", normalized, ("none", "expected_average_only_in"))
    if (scale is not None) != (normalized == "expected_average_only_in"):
        raise _wrong("scale", "one with expected_average_only_in, none without", scale)
    if scale is not None and not 0 < scale < float("inf"):
        raise _wrong("scale", "a finite number above 0", scale)


def _weights(path: Path, activation: Activation) -> dict[str, Tensor]:
    wanted = {"W_enc", "b_enc", "W_dec", "b_dec"}
    wanted |= {"threshold"} if activation == "jumprelu" else set()
    try:
        found = load_file(path)
    except (OSError, SafetensorError) as error:
        raise _wrong(str(path), "a safetensors file", error) from error
    if set(found) != wanted:
        raise _wrong(str(path), f"the tensors {sorted(wanted)}", sorted(found))
    return {name: tensor.float() for name, tensor in found.items()}


def _of(config: dict[str, Any], key: str, kind: type) -> Any:
    value = config.get(key)
    if type(value) is not kind:
        raise _wrong(f"{key} in {CONFIG}", kind.__name__, repr(value))
    return value


def _tensors(sae: Sae) -> dict[str, Tensor]:
    """Every tensor under sae-lens's name."""
    named = {
        "W_enc": sae.w_enc,
        "b_enc": sae.b_enc,
        "W_dec": sae.w_dec,
        "b_dec": sae.b_dec,
        "threshold": sae.threshold,
    }
    return cast(dict[str, Tensor], {name: t for name, t in named.items() if t is not None})


def _wrong(what: str, expected: str, got: object) -> InputError:
    cure = "give an SAE and states that fit each other, or convert it with sae-lens first"
    return InputError(what, expected=expected, got=str(got), cure=cure)
