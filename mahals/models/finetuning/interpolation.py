"""Interpolation: what is a checkpoint that went a share of the way to what it was trained to?

The weights between both, as Wortsman et al. 2022 ("Robust fine-tuning of zero-shot models",
arXiv 2109.01903): less of what training cost elsewhere, and often all that it taught.
"""

from __future__ import annotations

import shutil
from pathlib import Path

from safetensors.torch import load_file, save_file

from mahals.models.finetuning.lora import WEIGHTS
from mahals.records import InputError


def interpolated(folder: Path, target: Path, share: float) -> Path:
    """The adapter in `folder` at `share` of its change, written to `target`, which it replaces.

    Of an adapter the weights between are those of its second maps (B of B A) times the share: 1 is
    the adapter bit for bit. Raises InputError for a share outside (0, 1].
    """
    if not 0 < share <= 1:
        raise InputError(
            "share of an adapter",
            expected="a number above 0, at most 1",
            got=f"{share:g}",
            cure="1 keeps all of the change",
        )
    shutil.rmtree(target, ignore_errors=True)
    shutil.copytree(folder, target)
    if share < 1:
        found = load_file(target / WEIGHTS)
        part = {n: w * share if ".lora_B." in n else w for n, w in found.items()}
        save_file(part, target / WEIGHTS, metadata={"format": "pt"})
    return target
