"""LoRA adapter: how does a model get one, and how does it become a plain model again?"""

from __future__ import annotations

import copy
import hashlib
import importlib.util
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import nn
from transformers import PreTrainedModel

from mahals.models.checkpoints.blocks import decoder_blocks
from mahals.models.checkpoints.checkpoint import Loaded
from mahals.models.finetuning.config import Lora
from mahals.records import InputError, seed_of

WEIGHTS = "adapter_model.safetensors"
CONFIG = "adapter_config.json"


def need(package: str, what: str) -> None:
    """Raises InputError where an optional package is not installed."""
    if importlib.util.find_spec(package) is None:
        raise InputError(
            what,
            expected=f"the package {package}",
            got="it is not installed",
            cure=f"pip install {package}",
        )


def target_modules(model: nn.Module, targets: str) -> list[str]:
    """The names, below a block, of the linear maps that an adapter changes, sorted.

    `attention`: those of each block's attention (q, k, v, o, or what an architecture fuses them
    to); `all`: all of a block. Raises InputError where a block has none.
    """
    found = set()
    for block in decoder_blocks(model):
        for name, module in block.named_modules():
            attends = "attn" in name.split(".")[0] or "attention" in name.split(".")[0]
            if _is_linear(module) and (targets == "all" or attends):
                found.add(name)
    if not found:
        raise InputError(
            f"adapter of {type(model).__name__}",
            expected=f"linear maps ({targets}) in its blocks",
            got="none",
            cure="use targets: all, or another architecture",
        )
    return sorted(found)


def _is_linear(module: nn.Module) -> bool:
    return isinstance(module, nn.Linear) or type(module).__name__ == "Conv1D"


def with_new_adapter(loaded: Loaded, lora: Lora, seed: int) -> Any:
    """A copy of the model with a fresh adapter (peft's PeftModel), which changes nothing yet.

    A quantized model is changed in place: it cannot be copied. The adapter's first values depend
    on the seed alone.
    """
    need("peft", "an adapter")
    from peft import LoraConfig, get_peft_model

    model = loaded.model
    config = LoraConfig(
        r=lora.rank,
        lora_alpha=lora.alpha,
        lora_dropout=lora.dropout,
        target_modules=target_modules(model, lora.targets),
        fan_in_fan_out=_has_conv(model),
        task_type="CAUSAL_LM",
        revision=loaded.revision,
    )
    own = model if getattr(model, "is_quantized", False) else copy.deepcopy(model)
    name = f"{loaded.key}/{loaded.role}"
    with torch.random.fork_rng(devices=[]), _named(own, name), _quiet():
        torch.manual_seed(seed_of("adapter", seed))
        return get_peft_model(own, config)


def _has_conv(model: nn.Module) -> bool:
    return any(type(m).__name__ == "Conv1D" for m in model.modules())


@contextmanager
def _quiet() -> Iterator[None]:
    """Keeps peft's use of what transformers will rename off the terminal."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        yield


@contextmanager
def _named(model: PreTrainedModel, name: str) -> Iterator[None]:
    """While it lasts, the model gives `name` and no path of this machine as what it was made of."""
    before = model.name_or_path
    model.name_or_path = name
    try:
        yield
    finally:
        model.name_or_path = before


def trainable(loaded: Loaded, *, quantize: bool) -> Loaded:
    """The checkpoint that an adapter is trained on; `quantize`: a copy in 4 bits, read for it.

    Raises InputError for a checkpoint that was read quantized: an adapter would change it in place,
    for all who hold it; and to quantize one that adapters were merged into, as it stands in no
    folder.
    """
    if getattr(loaded.model, "is_quantized", False):
        raise InputError(
            f"training {loaded.key}",
            expected="weights that can be copied",
            got="quantized ones",
            cure="set quantize: none; the `quantize` of a tuning trains on a copy in 4 bits",
        )
    if quantize and "+" in loaded.revision:
        raise InputError(
            f"training {loaded.key} on weights in 4 bits",
            expected="a checkpoint as it lies in a folder",
            got=f"one with adapters merged in, {loaded.revision}",
            cure="use quantize: false",
        )
    return quantized(loaded) if quantize else loaded


def quantized(loaded: Loaded) -> Loaded:
    """The checkpoint read again with its linear maps in 4 bits (nf4), by bitsandbytes.

    Only an adapter on it can be trained (Dettmers et al. 2023). Raises InputError without
    bitsandbytes, and for a model that came from no folder.
    """
    need("bitsandbytes", "quantize")
    need("accelerate", "quantize")
    from peft import prepare_model_for_kbit_training
    from transformers import AutoModelForCausalLM, BitsAndBytesConfig

    folder = Path(loaded.model.name_or_path or "none")
    if not (folder / "config.json").is_file():
        raise InputError(
            f"quantize {loaded.key}",
            expected="a checkpoint that was read from a folder or the hub's cache",
            got=repr(str(folder)),
            cure="use quantize: false",
        )
    model = AutoModelForCausalLM.from_pretrained(
        folder,
        dtype=loaded.model.dtype,
        device_map={"": str(loaded.device)},
        local_files_only=True,
        quantization_config=BitsAndBytesConfig(
            load_in_4bit=True,
            bnb_4bit_quant_type="nf4",
            bnb_4bit_compute_dtype=loaded.model.dtype,
        ),
    )
    ready = prepare_model_for_kbit_training(model, use_gradient_checkpointing=False)
    return replace(loaded, model=ready.eval())


def attached(loaded: Loaded, folder: Path) -> Loaded:
    """A copy of the checkpoint with a saved adapter live in it: A x can be read, nothing merged."""
    need("peft", "an adapter")
    from peft import PeftModel

    _check(folder)
    with _quiet():
        whole = PeftModel.from_pretrained(copy.deepcopy(loaded.model), str(folder))
    return replace(loaded, model=whole.get_base_model().eval(), revision=_revision(loaded, folder))


def merged(loaded: Loaded, folder: Path) -> Loaded:
    """A copy of the checkpoint with a saved adapter added to its weights: a plain model.

    Its revision names the checkpoint's and the adapter's content. Raises InputError for a folder
    without an adapter in peft's layout.
    """
    need("peft", "an adapter")
    from peft import PeftModel

    _check(folder)
    with _quiet():
        whole = PeftModel.from_pretrained(copy.deepcopy(loaded.model), str(folder))
    plain = whole.merge_and_unload().eval().requires_grad_(False)
    return replace(loaded, model=plain, revision=_revision(loaded, folder))


def _check(folder: Path) -> None:
    missing = [name for name in (CONFIG, WEIGHTS) if not (folder / name).is_file()]
    if missing:
        raise InputError(
            f"adapter {folder.name}",
            expected=f"{CONFIG} and {WEIGHTS}",
            got="no " + " and no ".join(missing),
            cure="train it again",
        )


def _revision(loaded: Loaded, folder: Path) -> str:
    content = hashlib.sha256((folder / CONFIG).read_bytes())
    content.update((folder / WEIGHTS).read_bytes())
    return f"{loaded.revision}+{content.hexdigest()[:12]}"
