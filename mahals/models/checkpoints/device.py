"""Device: where, and in which numbers, is a real checkpoint held and computed?

What is typed (`DeviceKeys`) becomes what this machine has (`Device`) once, before anything is read.
Organisms have one device, the CPU in float32: their numbers are the same everywhere.
"""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from mahals.records import InputError

Dtype = Literal["float32", "bfloat16"]
Quantize = Literal["none", "8bit", "4bit"]
DeviceMap = Literal["none", "auto", "balanced", "sequential"]
NAMED = re.compile(r"auto|cpu|mps|cuda(:\d+)?")
EXAMPLES = "auto, cpu, cuda, cuda:1 or mps"
DRIVERS = ("/dev/nvidiactl", "/dev/dxg", "/dev/kfd")  # files of a machine with a GPU for torch
PACKED = {"4bit": (32, 64), "8bit": (1, 1)}
"""Of what a linear map's outputs and inputs are multiples where bitsandbytes packs it on a CPU."""
REFUSED = (
    "not enough memory",
    "can't allocate memory",
    "out of memory",
    "CUBLAS_STATUS_ALLOC_FAILED",
    "CUDNN_STATUS_ALLOC_FAILED",
)


@dataclass(frozen=True)
class DeviceKeys:
    """The keys of params.yaml, as they are typed."""

    device: str
    dtype: Literal["auto", "float32", "bfloat16"]
    quantize: Quantize
    device_map: DeviceMap

    def __post_init__(self) -> None:
        if not NAMED.fullmatch(self.device):
            raise InputError(
                "device", expected=EXAMPLES, got=repr(self.device), cure="choose one of them"
            )
        if self.quantize != "none" and self.dtype == "float32":
            raise InputError(
                "dtype",
                expected=f"auto or bfloat16 with quantize: {self.quantize}, computed in 16 bits",
                got="float32",
                cure="use dtype: auto, or quantize: none",
            )


@dataclass(frozen=True)
class Device:
    """What a checkpoint is loaded onto; all of it is there."""

    name: str  # cpu, cuda:0, mps: where tensors are put
    kind: str  # cpu, or the name of the GPU (of each, with a device map)
    dtype: Dtype
    quantize: Quantize
    device_map: DeviceMap

    @property
    def numbers(self) -> str:
        """In which numbers, in words: bfloat16, or bfloat16 on 4bit weights."""
        return self.dtype + ("" if self.quantize == "none" else f" on {self.quantize} weights")

    @property
    def is_cpu(self) -> bool:
        """Whether everything is in the memory of the host."""
        return self.name == "cpu"


CPU = Device("cpu", "cpu", "float32", "none", "none")
"""Where organisms are, and what is taken where no other device is named."""


def device_of(keys: DeviceKeys, weights: str) -> Device:
    """What this machine has of what `keys` ask for; the CPU in float32 for organisms.

    `auto`: the first CUDA device, else the CPU; bfloat16 on CUDA and on quantized weights, else
    float32. Raises InputError for a device or package that is not here.
    """
    if weights == "organism":
        return CPU
    _check_packages(keys)
    name = _found(keys.device)
    if keys.device_map != "none" and not name.startswith("cuda"):
        raise InputError(
            "device_map",
            expected="none where there is no CUDA device to spread a model over",
            got=f"{keys.device_map} on {name}",
            cure="use device_map: none, or run it on a machine with GPUs",
        )
    half = name.startswith("cuda") or keys.quantize != "none"
    auto: Dtype = "bfloat16" if half else "float32"
    dtype = auto if keys.dtype == "auto" else keys.dtype
    return Device(name, _kind(name, keys.device_map), dtype, keys.quantize, keys.device_map)


def may_use_gpu(keys: DeviceKeys, weights: str) -> bool:
    """Whether tasks may run on a GPU, said without asking its driver (which forbids a fork)."""
    if weights == "organism" or keys.device in ("cpu", "mps"):
        return False
    return keys.device != "auto" or any(Path(each).exists() for each in DRIVERS)


def quantization(device: Device) -> Any:
    """What from_pretrained is told of quantized weights; None for weights as they are saved.

    4 bits are nf4. 8 bits are without outlier columns: which columns these are depends on the
    batch, and a state must not.
    """
    if device.quantize == "none":
        return None
    import torch
    from transformers import BitsAndBytesConfig

    logging.getLogger("bitsandbytes").setLevel(logging.ERROR)  # a line for every matrix product
    if device.quantize == "8bit":
        return BitsAndBytesConfig(load_in_8bit=True, llm_int8_threshold=0.0)
    return BitsAndBytesConfig(
        load_in_4bit=True,
        bnb_4bit_quant_type="nf4",
        bnb_4bit_compute_dtype=getattr(torch, device.dtype),
    )


def out_of_memory(error: BaseException) -> bool:
    """Whether an error says that memory was short, on the host or on a GPU."""
    import torch

    if isinstance(error, (torch.OutOfMemoryError, MemoryError)):
        return True
    return isinstance(error, RuntimeError) and any(text in str(error) for text in REFUSED)


def too_large(what: str, error: BaseException) -> InputError:
    """The error for work that memory does not hold even one row at a time; names the keys."""
    first = str(error).strip().splitlines()[:1]
    return InputError(
        what,
        expected="a task that memory holds, if need be one text at a time",
        got=f"{type(error).__name__}: {first[0] if first else 'no message'}"[:160],
        cure="use dtype: bfloat16, quantize: 4bit or another device, lower `micro` or `rows` where "
        "it trains, or run it with --workers 1",
    )


def check_packable(model: Any, device: Device) -> None:
    """Raises InputError, naming the linear map, where bitsandbytes cannot pack it on a CPU."""
    if device.quantize == "none" or not device.is_cpu:
        return
    kinds, (outputs, inputs) = ("Linear4bit", "Linear8bitLt"), PACKED[device.quantize]
    for name, module in model.named_modules():
        if type(module).__name__ not in kinds:
            continue
        if module.out_features % outputs or module.in_features % inputs:
            raise InputError(
                f"quantize: {device.quantize} of {type(model).__name__} on the CPU",
                expected=f"linear maps of a multiple of {inputs} to a multiple of {outputs}",
                got=f"{name} of {module.in_features} to {module.out_features}",
                cure="use quantize: none, or a CUDA device",
            )


def _found(asked: str) -> str:
    """The device that is asked for, as torch names it. Raises InputError where it is not there."""
    here = _available()
    if asked == "auto":
        return next((name for name in here if name.startswith("cuda")), "cpu")
    name = "cuda:0" if asked == "cuda" else asked
    if name not in here:
        raise InputError(
            "device",
            expected="one that this machine has: " + ", ".join(here),
            got=asked,
            cure=f"use device: {'auto' if len(here) == 1 else here[-1]}, or install a torch for it",
        )
    return name


def _available() -> Sequence[str]:
    """Every device that torch can use here, the CPU first."""
    import torch

    os.environ.setdefault("PYTORCH_NVML_BASED_CUDA_CHECK", "1")
    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    mps = ["mps"] if torch.backends.mps.is_available() else []
    return ["cpu", *(f"cuda:{i}" for i in range(count)), *mps]


def _kind(name: str, device_map: str) -> str:
    """The hardware's own name: what decides bytes is the kind of GPU, not its number."""
    import torch

    if not name.startswith("cuda"):
        return name
    if device_map == "none":
        return str(torch.cuda.get_device_name(name))
    names = [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())]
    return f"{', '.join(names)} by device_map {device_map}"


def _check_packages(keys: DeviceKeys) -> None:
    from importlib.util import find_spec

    wanted = {"quantize": ("bitsandbytes", "accelerate"), "device_map": ("accelerate",)}
    for key, packages in wanted.items():
        asked = getattr(keys, key)
        missing = [p for p in packages if find_spec(p) is None]
        if asked != "none" and missing:
            raise InputError(
                f"{key}: {asked}",
                expected=f"the package {missing[0]}",
                got="none",
                cure=f"pip install {missing[0]} (it is in the extra gpu), or use {key}: none",
            )
