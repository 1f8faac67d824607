"""Architecture: which are known to be unfit before any weight is read?"""

from __future__ import annotations

import json
from pathlib import Path
from typing import NoReturn

from mahals.models.checkpoints.registry import HubRef
from mahals.records import InputError

RECURRENT = (
    "falcon_mamba",
    "jamba",
    "lfm2",
    "mamba",
    "mamba2",
    "recurrent_gemma",
    "rwkv",
    "xlstm",
)
"""Model types, as a config names them, whose state is no key-value cache under an attention mask.

No list decides what is fit: `mahals.models.checkpoints.fitness` does, on the loaded model.
"""


def refuse_recurrent(folder: Path) -> None:
    """Raises InputError where the config in a checkpoint's folder is of a recurrent family."""
    named = json.loads((folder / "config.json").read_text(encoding="utf-8")).get("model_type")
    if named in RECURRENT:
        _refuse(str(folder), named)


def refuse_recurrent_hub(ref: HubRef, family: str, cache: Path | None = None) -> None:
    """Raises InputError for a hub checkpoint of a recurrent family, as far as is known offline.

    By the family that the registry says, and by the config where the hub's cache has it.
    """
    from huggingface_hub import try_to_load_from_cache

    for known in RECURRENT:
        if known.replace("_", "") == family.lower().replace("_", ""):
            _refuse(ref.id, known)
    found = try_to_load_from_cache(ref.id, "config.json", cache_dir=cache, revision=ref.revision)
    if isinstance(found, str):
        refuse_recurrent(Path(found).parent)


def _refuse(place: str, model_type: str) -> NoReturn:
    raise InputError(
        f"architecture {model_type} of {place}",
        expected="attention under a mask of padded texts, and a key-value cache",
        got="a recurrent state: padding would change it, and every answer with it",
        cure="use a model of a family in benchmarks/models.yaml",
    )
