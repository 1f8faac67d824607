"""GGUF header: what does a GGUF file hold, read without its weights and its vocabulary?

The format is public (ggml's gguf.md). Only the scalars are kept; lists, of tokens above all, are
passed over, so that a header is read in well under a second.
"""

from __future__ import annotations

import struct
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from mahals.models.checkpoints.config_facts import ConfigFacts
from mahals.records import InputError

_SCALARS = {**dict(enumerate("BbHhIif?")), 10: "Q", 11: "q", 12: "d"}  # as struct names them
_TEXT, _LIST = 8, 9
_FULL = {0: 32, 1: 16, 28: 64, 30: 16}  # float32, float16, float64, bfloat16: type -> bits
_BITS = {2: 4, 3: 4, 6: 5, 7: 5, 8: 8, 9: 8, 10: 2, 11: 3, 12: 4, 13: 5, 14: 6, 15: 8}
_LOW = {16: 2, 17: 2, 18: 3, 19: 1, 20: 4, 21: 3, 22: 2, 23: 4, 29: 1, 34: 2, 35: 2}
"""Bits of a weight by ggml's tensor type, without the block's scales: Q4_0 to Q8_K, then IQ."""


@dataclass(frozen=True)
class GgufHeader:
    """What a file says of itself."""

    values: Mapping[str, Any]  # scalars by name
    bits: Mapping[int, float]  # bits of a weight -> share of the weights; 0: of a type unknown here

    @property
    def architecture(self) -> str:
        """As llama.cpp names it: llama, gemma3, qwen2."""
        return str(self.values["general.architecture"])

    @property
    def facts(self) -> ConfigFacts:
        """Depth and width."""
        name = self.architecture
        layers = int(self.values[f"{name}.block_count"])
        return ConfigFacts(name, layers, int(self.values[f"{name}.embedding_length"]))

    @property
    def has_template(self) -> bool:
        """Whether it carries a chat template."""
        return bool(self.values.get("tokenizer.chat_template"))

    @property
    def weights(self) -> str:
        """What the numbers are once they are in memory, in words."""
        kinds = {bits: share for bits, share in sorted(self.bits.items()) if share >= 0.005}
        if set(kinds) <= set(_FULL.values()):
            return f"{max(kinds, default=32)}-bit floating-point weights"
        named = (f"{bits or 'unknown'}-bit ({share:.0%})" for bits, share in kinds.items())
        return f"{', '.join(named)} weights read back to float32"


def read_header(path: Path) -> GgufHeader:
    """The header of a GGUF file. Raises InputError where it is none, or is cut off."""
    try:
        with path.open("rb") as file:
            magic, version, tensors, count = struct.unpack("<4sIQQ", file.read(24))
            if magic != b"GGUF" or version not in (2, 3):
                raise ValueError(f"{magic!r}, version {version}")
            values = dict(_pair(file) for _ in range(count))
            sizes: Counter[int] = Counter()
            for _ in range(tensors):
                kind, size = _tensor(file)
                sizes[kind] += size
    except (OSError, ValueError, struct.error, KeyError, UnicodeDecodeError) as error:
        raise _damaged(path, f"{type(error).__name__}: {error}") from error
    wanted = ("block_count", "embedding_length")
    name = values.get("general.architecture")
    if name is None or any(f"{name}.{key}" not in values for key in wanted):
        raise _damaged(path, "a header without architecture, depth or width")
    known, shares = {**_FULL, **_BITS, **_LOW}, Counter[int]()
    for kind, size in sizes.items():
        shares[known.get(kind, 0)] += size
    total = sizes.total() or 1
    bits = {each: size / total for each, size in shares.items()}
    return GgufHeader({k: v for k, v in values.items() if v is not None}, bits)


def _pair(file: BinaryIO) -> tuple[str, Any]:
    name = _text(file)
    return name, _value(file, *struct.unpack("<I", file.read(4)))


def _value(file: BinaryIO, kind: int) -> Any:
    """A scalar or a text; None for a list, which is passed over."""
    if kind == _TEXT:
        return _text(file)
    if kind != _LIST:
        form = f"<{_SCALARS[kind]}"
        return struct.unpack(form, file.read(struct.calcsize(form)))[0]
    inner, count = struct.unpack("<IQ", file.read(12))
    if inner in _SCALARS:
        file.seek(count * struct.calcsize(f"<{_SCALARS[inner]}"), 1)
        return None
    for _ in range(count):
        if inner == _TEXT:
            file.seek(struct.unpack("<Q", file.read(8))[0], 1)
        else:
            _value(file, inner)
    return None


def _text(file: BinaryIO) -> str:
    (length,) = struct.unpack("<Q", file.read(8))
    if length > 1 << 24:
        raise ValueError(f"a text of {length} bytes")
    return file.read(length).decode("utf-8")


def _tensor(file: BinaryIO) -> tuple[int, int]:
    """The type of a tensor, and how many numbers it has."""
    _text(file)
    (dimensions,) = struct.unpack("<I", file.read(4))
    size = 1
    for length in struct.unpack(f"<{dimensions}Q", file.read(8 * dimensions)):
        size *= length
    kind, _ = struct.unpack("<IQ", file.read(12))
    return kind, size


def _damaged(path: Path, got: str) -> InputError:
    return InputError(
        f"checkpoint {path}",
        expected="a GGUF file of version 2 or 3, whole",
        got=got[:200],
        cure="download it again, or name a folder of safetensors",
    )
