"""Vector files: how does one lie on disk, and is what is read back the vector that was stored?"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mahals.records import InputError, from_plain, to_plain
from mahals.schema import VectorCard

if TYPE_CHECKING:
    from torch import Tensor

    from mahals.models.checkpoints.checkpoint import Loaded

TENSORS = "vector.safetensors"
CONFIG = "config.json"
CARD = "README.md"
VALUES = "values"  # the tensor (L, d) that every vector file holds


@dataclass(frozen=True)
class VectorConfig:
    """What a stored vector is, beside its numbers."""

    name: str
    target: str
    source: str
    method: str
    weights: str  # organism or hub
    layers: int  # L, decoder blocks of the target
    width: int  # d of the target
    revision: str | None  # of the target's base checkpoint; None where the phase gave none
    sha256: str  # of the safetensors file
    selection_score: float | None
    metadata: Mapping[str, Any]


@dataclass(frozen=True)
class StoredVector:
    """A vector read back. `values` is (L, d) float32: row l belongs to decoder block l."""

    values: Tensor
    tensors: Mapping[str, Tensor]  # all that the file holds, `values` too
    config: VectorConfig | None  # None for a bare safetensors file


def read_tensors(path: Path) -> dict[str, Tensor]:
    """The tensors of a safetensors file with a finite `values` (L, d).

    Raises InputError when the file is absent, damaged, or holds something else.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        tensors: dict[str, Tensor] = load_file(path)
    except (OSError, SafetensorError) as error:
        got = "no such file" if isinstance(error, FileNotFoundError) else f"{error}"
        raise _unreadable(path, got.splitlines()[0]) from error
    values = tensors.get(VALUES)
    if values is None or values.ndim != 2:
        shown = {name: tuple(tensor.shape) for name, tensor in tensors.items()}
        raise _unreadable(path, f"tensors {shown}")
    if not bool(values.isfinite().all()):
        raise _unreadable(path, f"{VALUES} with nan or infinity")
    return tensors


def write_folder(folder: Path, tensors_file: Path, card: VectorCard, weights: str) -> VectorConfig:
    """Fills `folder` with the vector, its JSON config and its card; gives the config."""
    values = read_tensors(tensors_file)[VALUES]
    body = tensors_file.read_bytes()
    revision = card.metadata.get("revision")
    config = VectorConfig(
        name=card.name,
        target=card.target,
        source=card.source,
        method=card.method,
        weights=weights,
        layers=int(values.shape[0]),
        width=int(values.shape[1]),
        revision=str(revision) if revision is not None else None,
        sha256=sha256(body).hexdigest(),
        selection_score=card.selection_score,
        metadata=dict(card.metadata),
    )
    folder.mkdir(parents=True, exist_ok=True)
    (folder / TENSORS).write_bytes(body)
    text = json.dumps(to_plain(config), indent=1, sort_keys=True, ensure_ascii=False)
    (folder / CONFIG).write_text(text + "\n", encoding="utf-8")
    (folder / CARD).write_text(card_text(config), encoding="utf-8")
    return config


def card_text(config: VectorConfig) -> str:
    """The vector's card: what it is, how to load it, what it must not be taken for."""
    origin = "organism" if config.weights == "organism" else "real"
    score = "not measured" if config.selection_score is None else f"{config.selection_score:.4g}"
    front = ["---", "dual_use: true", "---", ""] if config.metadata.get("dual_use") is True else []
    lines = [
        *front,
        f"# {config.name}",
        "",
        f"Steering vector for `{config.target}` ({origin} weights), from `{config.source}` by "
        f"`{config.method}`: `{VALUES}` is ({config.layers}, {config.width}) float32, row l for "
        "decoder block l (0-based).",
        "",
        "| | |",
        "| --- | --- |",
        f"| revision of the target's base checkpoint | {config.revision or 'not recorded'} |",
        f"| score on the selection split | {score} |",
        f"| SHA-256 of `{TENSORS}` | `{config.sha256}` |",
    ]
    for name, value in sorted(config.metadata.items()):
        shown = json.dumps(to_plain(value), ensure_ascii=False)
        lines.append(f"| {name} | {shown if len(shown) <= 120 else 'see ' + CONFIG} |")
    lines += ["", "```python", "import mahals"]
    lines += [f'vector = mahals.load_vector("models:/{config.name}/1")', "```", ""]
    lines += ["It can lower safety as well as raise it: flip its sign and it steers the other way."]
    return "\n".join(lines) + "\n"


def read_place(path: Path) -> StoredVector:
    """A vector folder, checked against the hash in its config, or a bare safetensors file."""
    if path.is_file() and path.suffix == ".safetensors":
        tensors = read_tensors(path)
        return StoredVector(tensors[VALUES].float(), tensors, None)
    if not (path / CONFIG).is_file() or not (path / TENSORS).is_file():
        raise InputError(
            f"steering vector {path}",
            expected=f"a folder with {TENSORS} and {CONFIG}, or a .safetensors file",
            got="none there",
            cure="give models:/<name>@champion, models:/<name>/<version> or the right path",
        )
    try:
        data = json.loads((path / CONFIG).read_text(encoding="utf-8"))
    except ValueError as error:
        raise _unreadable(path / CONFIG, f"no JSON ({error})") from error
    config = from_plain(VectorConfig, data, str(path / CONFIG))
    got = sha256((path / TENSORS).read_bytes()).hexdigest()
    if got != config.sha256:
        raise InputError(
            f"steering vector {path / TENSORS}",
            expected=f"the bytes with SHA-256 {config.sha256[:12]}...",
            got=f"{got[:12]}...: the file is damaged or was changed",
            cure="fetch or compute it again (python -m mahals run steering_vectors)",
        )
    tensors = read_tensors(path / TENSORS)
    return StoredVector(tensors[VALUES].float(), tensors, config)


def check_fits(vector: StoredVector, model: Loaded, place: str) -> None:
    """Raises InputError unless the vector belongs to the architecture and revision of `model`."""
    layers, width = vector.values.shape
    if (layers, width) != (model.layers, model.width):
        raise InputError(
            f"steering vector {place} for {model.key}",
            expected=f"{model.layers} layers of width {model.width}",
            got=f"{layers} layers of width {width}",
            cure="use a vector of this architecture, or map it with cross_arch",
        )
    revision = vector.config.revision if vector.config else None
    if revision is not None and revision != model.revision:
        raise InputError(
            f"steering vector {place} for {model.key}",
            expected=f"a vector of revision {model.revision[:12]}",
            got=f"one of revision {revision[:12]}",
            cure="compute it for these weights (python -m mahals run steering_vectors)",
        )


def export_pth(vector: StoredVector, path: Path | str) -> Path:
    """Writes the tensors as a plain state dict, which torch.load(weights_only=True) reads."""
    import torch

    place = Path(path)
    try:
        draft = place.with_name(f".{place.name}.tmp")
        torch.save(dict(vector.tensors), draft)
        draft.replace(place)
    except (OSError, RuntimeError) as error:
        raise InputError(
            f"export {place}",
            expected="a place that can be written",
            got=str(error).splitlines()[0],
            cure="choose another folder",
        ) from error
    return place


def _unreadable(path: Path, got: str) -> InputError:
    return InputError(
        f"steering vector {path}",
        expected=f"a safetensors file with a finite tensor `{VALUES}` (layers, width)",
        got=got,
        cure="fetch or compute it again (python -m mahals run steering_vectors)",
    )
