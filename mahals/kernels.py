"""Kernels: with which arithmetic does a process compute, and how is it the same on every CPU?

torch, MKL, numpy and OpenBLAS choose their loops by what the CPU can do, and each rounds its own
way. A training feeds every rounding back into itself, so organisms are trained and measured with
loops that every x86-64 CPU has.
"""

from __future__ import annotations

import os
import platform
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from pathlib import Path

X86 = ("x86_64", "AMD64")
OWN = "the CPU's own"

PINNED: Mapping[str, str] = (
    {
        "ATEN_CPU_CAPABILITY": "default",  # torch
        "MKL_CBWR": "COMPATIBLE",  # torch's matrix products
        "ONEDNN_MAX_CPU_ISA": "SSE41",  # torch's gelu
        "OPENBLAS_CORETYPE": "Nehalem",  # matrix products of numpy and scipy
        "NPY_ENABLE_CPU_FEATURES": "X86_V2",  # numpy's baseline, and so nothing beyond it
    }
    if platform.machine() in X86
    else {}
)
"""Environment variables, read once by each library when it is imported.

What they leave to the CPU: torch.sqrt of an array (MKL's estimate; rsqrt, norms and fused
optimizers are exact), and functions of the C library in float64 on CPUs without FMA (before 2013).
"""


def environment(weights: str) -> dict[str, str]:
    """What is set where models of these weights are trained and measured.

    Checkpoints of the hub keep the CPU's own loops: twice as fast, and the same up to rounding.
    """
    return dict(PINNED) if weights == "organism" else {}


def described(variables: Mapping[str, str]) -> str:
    """In one line, for a fingerprint."""
    return " ".join(f"{name}={value}" for name, value in variables.items()) or OWN


@dataclass(frozen=True)
class Kernels:
    """What a process computed with, as its libraries say; None for one that it did not import."""

    cpu: str
    torch: str | None  # DEFAULT, AVX2 or AVX512
    mkl: str  # MKL_CBWR
    blas: tuple[str, ...]  # core types of the OpenBLAS libraries
    numpy: tuple[str, ...] | None  # instruction sets beyond its baseline


def in_use() -> Kernels:
    """Of this process, now."""
    torch, numpy = sys.modules.get("torch"), sys.modules.get("numpy")
    return Kernels(
        cpu=cpu_name(),
        torch=torch.backends.cpu.get_cpu_capability() if torch else None,
        mkl=os.environ.get("MKL_CBWR", OWN),
        blas=_blas() if numpy else (),
        numpy=_beyond_baseline() if numpy else None,
    )


@cache
def cpu_name() -> str:
    """The CPU's name, as the system gives it."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text(encoding="utf-8").splitlines() if info.is_file() else []
    named = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return named[0] if named else platform.processor() or platform.machine()


def _blas() -> tuple[str, ...]:
    info = import_module("threadpoolctl").threadpool_info()  # of scikit-learn
    cores = {str(each.get("architecture", "")) for each in info}
    return tuple(sorted(cores - {""}))


def _beyond_baseline() -> tuple[str, ...]:
    core = import_module("numpy._core._multiarray_umath")
    return tuple(name for name in core.__cpu_dispatch__ if core.__cpu_features__.get(name))
