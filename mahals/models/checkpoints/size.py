"""Size: how many numbers is a checkpoint, read from its files without loading it?"""

from __future__ import annotations

import json
import math
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mahals.models.checkpoints.architectures import refuse_recurrent
from mahals.models.checkpoints.device import Device
from mahals.records import InputError

VOCABULARY, GROUPED = 64_000, 4  # of a checkpoint that is not here, as is usual of 7B to 9B models
BITS = {"none": 0, "8bit": 8.1, "4bit": 4.6}  # of a packed weight, with its scales


@dataclass(frozen=True)
class Size:
    """What of a checkpoint decides memory and time."""

    parameters: int
    layers: int
    width: int
    inner: int  # of a block's feed-forward layer
    vocabulary: int
    cached: int  # keys and values of one token in all blocks
    here: bool  # its files are on this machine; else all but layers and width is a guess

    def held(self, device: Device) -> int:
        """Bytes of its weights in memory; embeddings and head are never quantized."""
        number = 2 if device.dtype == "bfloat16" else 4
        if device.quantize == "none":
            return self.parameters * number
        plain = min(self.parameters, 2 * self.vocabulary * self.width)
        return int(plain * number + (self.parameters - plain) * BITS[device.quantize] / 8)


def folder_size(folder: Path) -> Size:
    """Of a folder with config.json and safetensors weights: exact.

    Raises InputError for a recurrent architecture, or one that transformers does not know.
    """
    from transformers import AutoConfig

    refuse_recurrent(folder)
    try:
        config: Any = AutoConfig.from_pretrained(folder, local_files_only=True)
    except ValueError as error:
        raise InputError(
            f"architecture of {folder}",
            expected="a model type that the installed transformers knows",
            got=str(json.loads((folder / "config.json").read_text("utf-8")).get("model_type")),
            cure="install a transformers that has it, or use another checkpoint",
        ) from error
    text = config.get_text_config(decoder=True)
    layers, width, heads = (
        int(getattr(text, n)) for n in ("num_hidden_layers", "hidden_size", "num_attention_heads")
    )
    kept = getattr(text, "num_key_value_heads", None) or heads
    head = getattr(text, "head_dim", None) or width // heads
    return Size(
        parameters=sum(_numbers(folder)),
        layers=layers,
        width=width,
        inner=int(getattr(text, "intermediate_size", None) or 4 * width),
        vocabulary=int(text.vocab_size),
        cached=int(2 * layers * kept * head),
        here=True,
    )


def guessed_size(layers: int, width: int) -> Size:
    """Of a checkpoint of which only the blocks are known: gated, and heads grouped by four."""
    inner = round(3.5 * width)
    block = round((2 + 2 / GROUPED) * width**2) + 3 * width * inner
    numbers = layers * block + 2 * VOCABULARY * width
    cached = 2 * layers * width // GROUPED
    return Size(numbers, layers, width, inner, VOCABULARY, cached, here=False)


def _numbers(folder: Path) -> Iterator[int]:
    """How many numbers each tensor has, from the headers of the safetensors files."""
    for path in sorted(folder.glob("*.safetensors")):
        with path.open("rb") as file:
            (length,) = struct.unpack("<Q", file.read(8))
            header = json.loads(file.read(length))
        for name, told in header.items():
            if name != "__metadata__":
                yield math.prod(told["shape"])
