"""Autoencoder release: which published one reads a model, and how does it come here?

benchmarks/published/sae_releases.json names those of the steering-resistance study.
"""

from __future__ import annotations

import importlib
import importlib.util
import json
from dataclasses import dataclass
from pathlib import Path

from mahals.models.saes.autoencoder import Sae, wrong
from mahals.models.saes.files import CONFIG, read_sae
from mahals.records import InputError, from_plain, unknown


@dataclass(frozen=True)
class SaeRelease:
    """A published autoencoder of one model of the registry."""

    release: str  # sae-lens's name
    sae_id: str  # inside the release
    repository: str  # on the hub
    trained_on: str  # sae-lens's name of the model whose states it was trained on
    block: int  # whose output it reads
    steered: int  # block along whose output the study adds its decoder rows
    width: int  # of the states
    latents: int
    source: str
    note: str


def releases(file: Path) -> dict[str, SaeRelease]:
    """Every release of the table, by the registry's key of its model. Raises InputError."""
    try:
        table = json.loads(file.read_text(encoding="utf-8"))["releases"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise wrong(str(file), "a JSON object of releases", error) from error
    return {key: from_plain(SaeRelease, data, f"{file.name}.{key}") for key, data in table.items()}


def release_of(file: Path, model: str) -> SaeRelease:
    """The release that reads a model of the registry. Raises InputError where none is known."""
    table = releases(file)
    if model not in table:
        cure = "train an autoencoder of it here, or take contrast directions"
        raise unknown("model with a published SAE", model, table, cure)
    return table[model]


def read_release(entry: SaeRelease, folder: Path) -> Sae:
    """The autoencoder in `folder`, in sae-lens's layout; fetched by sae-lens where it is not there.

    Raises InputError where it cannot be had, and for one of another width, size, block or model.
    """
    if not (folder / CONFIG).is_file():
        _fetch(entry, folder)
    sae = read_sae(folder, None)
    if tuple(sae.w_dec.shape) != (entry.latents, entry.width):
        shape = f"({entry.latents}, {entry.width})"
        raise wrong(f"W_dec of the SAE in {folder}", shape, tuple(sae.w_dec.shape))
    facts = json.loads((folder / CONFIG).read_text(encoding="utf-8")).get("metadata") or {}
    hook = f"blocks.{entry.block}.hook_resid_post"
    for key, expected in (("hook_name", hook), ("model_name", entry.trained_on)):
        if facts.get(key, expected) != expected:
            raise wrong(f"{key} of the SAE in {folder}", expected, facts[key])
    return sae


def _fetch(entry: SaeRelease, folder: Path) -> None:
    """Writes the release to `folder`, its config last: a killed one is fetched again."""
    if importlib.util.find_spec("sae_lens") is None:
        raise _absent(entry, "sae-lens is not installed", "pip install 'mahals[sae]'")
    lens = importlib.import_module("sae_lens")
    try:
        found = lens.SAE.from_pretrained(release=entry.release, sae_id=entry.sae_id)
    except Exception as error:  # offline, gated, a full disk, a release it does not know
        reason = "; ".join([type(error).__name__, *str(error).splitlines()[:1]])
        raise _absent(entry, f"fetching it failed ({reason})", "connect") from error
    for weight in found.parameters():
        weight.data = weight.data.contiguous()  # else safetensors refuses what was transposed
    found.save_model(folder)


def _absent(entry: SaeRelease, got: str, cure: str) -> InputError:
    return InputError(
        f"SAE {entry.release} {entry.sae_id} ({entry.repository})",
        expected="a release that sae-lens fetches, or its folder",
        got=got,
        cure=cure + ", or place a folder in sae-lens's layout",
    )
