"""States cache: which were read before, of the same weights, tokens and in the same way?

Reading a model is the dear part of a study; what is made of its states changes more often than the
states do. Each reading is one safetensors file, named by the hash of all that decides its bytes,
and the file states that hash and the hash of its own numbers: what does not agree is read again.
"""

from __future__ import annotations

import hashlib
import json
import os
import platform
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from mahals.kernels import OWN
from mahals.models.activations.budget import tokens_at
from mahals.models.activations.capture import capture
from mahals.models.activations.encoding import Encoded
from mahals.models.activations.store import ABSENT, MARK, SUM, CacheFolder, check, keep, used_now
from mahals.models.checkpoints.checkpoint import Loaded
from mahals.schema import Pool
from mahals.usage import note, note_budget, recording

STATES = "states"
LIBRARIES = ("numpy", "scipy", "torch", "transformers")  # whose versions decide numbers


def cached_states(
    cache: CacheFolder,
    loaded: Loaded,
    encoded: Sequence[Encoded],
    layers: Sequence[int],
    pool: Pool,
) -> Tensor:
    """(n, len(layers), d) float32 on the CPU: what `capture` gives, from `cache` where it is.

    For a model as it was loaded alone: what hooks or training changed has the same fingerprint.
    When the limit is reached the reading that was not asked for the longest goes first; one in
    which memory was short, so that a batch was halved or planned smaller than the hash says, is not
    kept. Raises InputError as `capture` does, and where the folder cannot be written.
    """
    if cache.limit <= 0:
        return capture(loaded, encoded, layers, pool)
    mark = fingerprint(loaded, encoded, layers, pool)
    file = cache.folder / f"{mark}.safetensors"
    found, budget = _trusted(file, mark), tokens_at(loaded)
    if found is not None:
        note_budget(budget)
        return found
    check(cache)
    with recording() as used:
        found = capture(loaded, encoded, layers, pool)
    note(used)
    whole = not used.halved and used.budgets == {budget}
    if whole and found.numel() * found.element_size() <= cache.limit:  # else not made a body
        body = save({STATES: found}, metadata={MARK: mark, SUM: _sum(found)})
        keep(cache, {file.name: body})
    return found


def fingerprint(
    loaded: Loaded, encoded: Sequence[Encoded], layers: Sequence[int], pool: Pool
) -> str:
    """The SHA-256 of all that decides a reading's bytes: weights, tokens, readout, code, machine.

    The token budget of a batch is part of it: at weights=hub it follows free memory, and another
    batch moves states by rounding.
    """
    parts = {
        **facts(loaded),
        "texts": tokens_hash(encoded),
        "layers": list(layers),
        "pool": pool,
        "code": CODE,
    }
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def facts(loaded: Loaded) -> dict[str, Any]:
    """What of a model as it was loaded, of the machine and of the libraries decides states."""
    model = loaded.model
    config = {k: v for k, v in model.config.to_dict().items() if k != "_name_or_path"}
    return {
        "revision": loaded.revision,
        "class": type(model).__name__,
        "config": json.dumps(config, sort_keys=True, default=str),
        "attention": model.config._attn_implementation,
        "types": sorted({str(p.dtype) for p in model.parameters()}),
        "device": _device(loaded.device),
        "threads": torch.get_num_threads(),
        "budget": tokens_at(loaded),
        "versions": {name: version(name) for name in LIBRARIES},
    }


def tokens_hash(encoded: Sequence[Encoded]) -> str:
    """The hash of every text's tokens, of which of them are its own, and of which its prompt."""
    lengths = [(len(e.ids), e.start, e.stop, e.prompt) for e in encoded]
    numbers = np.array([i for e in encoded for i in e.ids], dtype=np.int64)
    shape = np.array(lengths, dtype=np.int64).reshape(-1, 4)
    return hashlib.sha256(shape.tobytes() + numbers.tobytes()).hexdigest()


def _device(device: torch.device) -> str:
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    kernels = f"{torch.backends.cpu.get_cpu_capability()} {os.environ.get('MKL_CBWR', OWN)}"
    return f"{device.type} {platform.machine()} {kernels}"


def _code() -> str:
    """The hash of the modules that load models and read states."""
    here = Path(__file__).parent
    return hash_of(here, here.parent / "checkpoints")


def hash_of(*places: Path) -> str:
    """The SHA-256 of the names and bytes of Python files: the given ones, and all in folders."""
    found = hashlib.sha256()
    every = ([p] if p.is_file() else sorted(p.rglob("*.py")) for p in places)
    for file in (file for files in every for file in files):
        found.update(file.name.encode() + b"\0" + file.read_bytes() + b"\0")
    return found.hexdigest()


CODE = _code()  # as it is imported, whatever is edited while a study runs


def _sum(states: Tensor) -> str:
    return hashlib.sha256(states.contiguous().numpy().data).hexdigest()


def _trusted(file: Path, mark: str) -> Tensor | None:
    """The states in a file that is whole and what its name says; None for any other."""
    try:
        with safe_open(file, framework="pt") as opened:
            said = opened.metadata() or {}
            states: Tensor = opened.get_tensor(STATES)
    except (*ABSENT, SafetensorError):
        return None
    if states.dtype != torch.float32 or said != {MARK: mark, SUM: _sum(states)}:
        return None
    used_now(file)
    return states
