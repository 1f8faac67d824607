"""Autoencoder release: which published one reads a model, and how does it come here?"""

import importlib
import json
from dataclasses import dataclass
from pathlib import Path

from mahals.models.saes.autoencoder import Sae, wrong
from mahals.models.saes.files import CONFIG, read_sae
from mahals.records import InputError, from_plain


@dataclass(frozen=True)
class SaeRelease:
    """A published autoencoder of one model, as benchmarks/published/sae_releases.json has it."""

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


def release_of(file: Path, model: str) -> SaeRelease | None:
    """The release of the table that reads a model of the registry; None where it names none.

    Raises InputError for a broken table, and an entry whose steered block is above the read one.
    """
    try:
        table = dict(json.loads(file.read_text(encoding="utf-8"))["releases"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        told = str(error).partition("\n")[0]
        raise InputError(
            f"table of SAE releases {file}",
            expected="a JSON object of releases by model",
            got=f"{type(error).__name__}: {told}",
            cure="name benchmarks/published/sae_releases.json, or one like it",
        ) from error
    if model not in table:
        return None
    found = from_plain(SaeRelease, table[model], f"{file.name}.{model}")
    if not 0 <= found.steered <= found.block:
        expected = f"a block from 0 to {found.block}, which it reads"
        raise wrong(f"steered block of {file.name}.{model}", expected, found.steered)
    return found


def read_release(entry: SaeRelease, folder: Path) -> Sae:
    """The autoencoder in `folder`, fetched by sae-lens where it is not there.

    Raises InputError where it cannot be had, and for one of another width, size, block or model.
    """
    if not (folder / CONFIG).is_file():
        _fetch(entry, folder)
    sae = read_sae(folder, None)
    facts = json.loads((folder / CONFIG).read_text(encoding="utf-8")).get("metadata") or {}
    facts["W_dec"] = tuple(sae.w_dec.shape)
    expected = {
        "W_dec": (entry.latents, entry.width),
        "hook_name": f"blocks.{entry.block}.hook_resid_post",
        "model_name": entry.trained_on,
    }
    for key, value in expected.items():
        if facts.get(key, value) != value:
            raise wrong(f"{key} of the SAE in {folder}", str(value), facts[key])
    return sae


def _fetch(entry: SaeRelease, folder: Path) -> None:
    """Writes the release to `folder`, its config last: a killed one is fetched again."""
    try:
        lens = importlib.import_module("sae_lens")
        found = lens.SAE.from_pretrained(release=entry.release, sae_id=entry.sae_id)
    except Exception as error:  # offline, gated, a full disk, a release it does not know
        absent = isinstance(error, ImportError) and error.name == "sae_lens"
        reason = "; ".join([type(error).__name__, *str(error).splitlines()[:1]])
        cure = "pip install 'mahals[sae]'" if absent else "connect"
        raise InputError(
            f"SAE {entry.release} {entry.sae_id} ({entry.repository})",
            expected="a release that sae-lens fetches, or its folder",
            got="sae-lens is not installed" if absent else f"fetching it failed ({reason})",
            cure=f"{cure}, or name its sae_weights.safetensors, or none, in esr_saes.release",
        ) from error
    for weight in found.parameters():
        weight.data = weight.data.contiguous()  # else safetensors refuses what was transposed
    found.save_model(folder)
