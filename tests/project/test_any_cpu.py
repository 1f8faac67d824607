"""Any CPU: are organisms, and what is measured of them, the same bytes on every x86-64 CPU?"""

from __future__ import annotations

import json
import os
import platform
import shutil
import subprocess
from collections.abc import Sequence

import pytest

from mahals.kernels import OWN, PINNED, X86
from tests.support.any_cpu import Found, command

EMULATOR = shutil.which("qemu-x86_64")
CPUS = ("Haswell", "max")
"""Of qemu: Intel's first with AVX2, and all that can be emulated; neither has AVX-512."""

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        platform.machine() not in X86 or EMULATOR is None,
        reason="emulates x86-64 CPUs: apt-get install qemu-user",
    ),
]


def started(*before: str) -> subprocess.Popen[str]:
    """One small organism of each family in a process of its own, behind `before`."""
    words, paths = command(*before)
    pins = PINNED if os.environ.get("MAHALS_TEST_KERNELS") != OWN else {}
    plain = {key: value for key, value in os.environ.items() if key not in PINNED}
    one = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
    pipe = subprocess.PIPE
    return subprocess.Popen(
        words, env={**plain, **one, **pins, **paths}, stdout=pipe, stderr=pipe, text=True
    )


def came_to(process: subprocess.Popen[str]) -> Found:
    """What it printed at its end."""
    out, errors = process.communicate()
    assert process.returncode == 0, errors[-3000:]
    found: Found = json.loads(out.splitlines()[-1])["found"]
    return found


def test_organisms_and_their_scores_are_the_same_bytes_on_every_cpu() -> None:
    """Natively and on two emulated CPUs: each stage, an adapter, states, the score, a probe, maps.

    MAHALS_TEST_KERNELS="the CPU's own" leaves the kernels to the CPU, which must fail.
    """
    before: list[Sequence[str]] = [(), *((str(EMULATOR), "-cpu", cpu) for cpu in CPUS)]
    processes = [started(*words) for words in before]
    native, *emulated = [came_to(process) for process in processes]
    assert len(native) == 18
    for cpu, found in zip(CPUS, emulated, strict=True):
        assert [what for what in native if native[what] != found[what]] == [], cpu
