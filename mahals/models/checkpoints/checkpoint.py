"""Checkpoint: how does a folder or a hub id become a model that is ready to be read and steered?"""

from __future__ import annotations

import copy
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Required, TypedDict, Unpack

import torch
from transformers import (
    AutoModelForCausalLM,
    AutoTokenizer,
    PreTrainedModel,
    PreTrainedTokenizerBase,
)
from transformers.utils import logging
from transformers.utils import logging as transformers_logging

from mahals.models.checkpoints import blocks
from mahals.models.checkpoints.architectures import refuse_recurrent
from mahals.models.checkpoints.chat_template import lend_template
from mahals.models.checkpoints.device import (
    CPU,
    Device,
    check_packable,
    out_of_memory,
    quantization,
)
from mahals.models.checkpoints.fitness import check_fitness
from mahals.models.checkpoints.hub import has_weights, hub_folder
from mahals.models.checkpoints.pins import named_digest
from mahals.models.checkpoints.registry import HubRef
from mahals.records import InputError

transformers_logging.disable_progress_bar()  # its bars would break into ours


@dataclass(frozen=True)
class Loaded:
    """A checkpoint in memory, in eval mode."""

    model: PreTrainedModel
    tokenizer: PreTrainedTokenizerBase
    key: str  # of the registry
    role: str  # base, aligned, pretrained, sham or random
    revision: str  # commit of the hub, or SHA-256 of a local folder's safetensors
    layers: int
    width: int
    weights: str  # organism or hub

    @property
    def context(self) -> int | None:
        """The longest text, in tokens, that the model was made for; None where it has no limit."""
        return blocks.context(self.model)

    @property
    def spread(self) -> bool:
        """Whether it lies on several devices."""
        return len(set(getattr(self.model, "hf_device_map", {}).values())) > 1

    @property
    def device(self) -> torch.device:
        """Where its weights are."""
        where: torch.device = next(self.model.parameters()).device
        return where


class Options(TypedDict, total=False):
    """How to load a checkpoint."""

    revision: Required[str | None]  # of a hub id; must be None for a folder
    device: Device  # the CPU in float32 unless given
    cache: Path | None  # the hub's cache, the user's own unless given
    known: str | None  # the revision of a folder, where it is known; else its weights are hashed
    template: str  # a chat template lent to the tokenizer, as `lend_template` takes it


def load_checkpoint(
    place: str | Path, *, key: str, role: str, weights: str, **options: Unpack[Options]
) -> Loaded:
    """The checkpoint in a folder, or with a hub id (a str that names no folder).

    Raises InputError, one line, when it is missing, gated, out of reach, damaged, incomplete, when
    its tokenizer has more tokens than the model, or when its architecture is not fit to be measured
    (`check_fitness`; a recurrent one is refused before its weights are read).
    """
    revision = options["revision"]
    folder, found = _located(place, revision, options.get("cache"), options.get("known"))
    device = options.get("device", CPU)
    refuse_recurrent(folder)
    model = _read_model(folder, device)
    tokenizer = _read_tokenizer(folder)
    lend_template(tokenizer, options.get("template", ""))
    rows = model.get_input_embeddings().weight.shape[0]
    if len(tokenizer) > rows:
        raise _damaged(folder, f"{len(tokenizer)} tokens but {rows} embeddings")
    check_fitness(model, len(tokenizer))
    return Loaded(
        model=model,
        tokenizer=tokenizer,
        key=key,
        role=role,
        revision=found,
        layers=len(blocks.decoder_blocks(model)),
        width=blocks.width(model),
        weights=weights,
    )


def random_weights(loaded: Loaded, seed: int) -> Loaded:
    """The same architecture and tokenizer with fresh random weights; the seed decides them.

    Role `random`; the dtype, device and attention implementation stay. Never quantized.
    """
    model = loaded.model
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        fresh = AutoModelForCausalLM.from_config(
            _unquantized(model.config), attn_implementation=model.config._attn_implementation
        )
    fresh = fresh.to(device=loaded.device, dtype=model.dtype).eval()
    fresh.generation_config = model.generation_config
    return replace(loaded, model=fresh, role="random", revision=f"random:{seed}")


def _unquantized(config: Any) -> Any:
    plain = copy.deepcopy(config)
    if hasattr(plain, "quantization_config"):
        del plain.quantization_config
    return plain


def weights_digest(folder: Path) -> str:
    """SHA-256 over the names and bytes of a folder's safetensors files, in order of name."""
    return named_digest(sorted(folder.glob("*.safetensors")))


def _located(
    place: str | Path, revision: str | None, cache: Path | None, known: str | None
) -> tuple[Path, str]:
    """The folder of a checkpoint and its revision."""
    folder = Path(place)
    if folder.is_dir():
        if revision is not None:
            raise InputError(
                f"revision of {folder}",
                expected="none (a folder's revision is the hash of its weights)",
                got=repr(revision),
                cure="give revision=None",
            )
        if not has_weights(folder):
            raise _damaged(folder, "no config.json or not all safetensors files")
        return folder, known or weights_digest(folder)
    if isinstance(place, Path):
        raise InputError(
            f"checkpoint {place}",
            expected="a folder with config.json and model.safetensors",
            got="no such folder",
            cure="run the phase that makes it, or correct the path",
        )
    snapshot = hub_folder(HubRef(place, revision or "main"), cache)
    return snapshot, snapshot.name


def _read_model(folder: Path, device: Device) -> PreTrainedModel:
    placing = _placing(device)
    try:
        with _no_bars():
            model, info = AutoModelForCausalLM.from_pretrained(
                folder,
                dtype=getattr(torch, device.dtype),
                use_safetensors=True,
                local_files_only=True,
                output_loading_info=True,
                **placing,
            )
    except Exception as error:
        if out_of_memory(error):
            raise
        raise _damaged(folder, f"{type(error).__name__}: {str(error).splitlines()[0]}") from error
    wrong = {k: sorted(map(str, info[k])) for k in ("missing_keys", "mismatched_keys") if info[k]}
    if wrong:
        kind, names = next(iter(wrong.items()))
        raise _damaged(folder, f"{kind.replace('_', ' ')} {', '.join(names[:3])}")
    check_packable(model, device)
    if not placing and not device.is_cpu:
        model = model.to(device.name)
    read: PreTrainedModel = model.eval()
    return read


def _placing(device: Device) -> dict[str, Any]:
    """What from_pretrained is told of where weights go; nothing for a plain model on one device."""
    told: dict[str, Any] = {}
    if device.quantize != "none":
        told["quantization_config"] = quantization(device)
    if device.device_map != "none":
        told["device_map"] = device.device_map
    elif told:
        told["device_map"] = {"": device.name}
    return told


@contextmanager
def _no_bars() -> Iterator[None]:
    """Keeps transformers' own progress bars off the terminal."""
    shown = logging.is_progress_bar_enabled()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        if shown:
            logging.enable_progress_bar()


def _read_tokenizer(folder: Path) -> PreTrainedTokenizerBase:
    try:
        tokenizer: PreTrainedTokenizerBase = AutoTokenizer.from_pretrained(
            folder, local_files_only=True
        )
    except Exception as error:
        raise _damaged(folder, f"{type(error).__name__}: {str(error).splitlines()[0]}") from error
    if not tokenizer.is_fast:
        raise _damaged(folder, "a tokenizer without character offsets (not a fast one)")
    return tokenizer


def _damaged(folder: Path, got: str) -> InputError:
    return InputError(
        f"checkpoint {folder}",
        expected="a causal language model and its tokenizer, saved by save_pretrained",
        got=got[:200],
        cure="make or download it again",
    )
