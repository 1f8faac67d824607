"""Organisms for tests: trained once per test session, at full length, and shared."""

from __future__ import annotations

import fcntl
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import yaml

from mahals.models.organisms.gate import GateError
from mahals.models.organisms.schedule import TrainingSchedule
from mahals.models.organisms.shapes import OrganismShape
from mahals.models.organisms.training import Order, train_organism
from mahals.records import from_plain
from mahals.schema import StageReport
from tests.support.places import ROOT

REGISTRY = yaml.safe_load((ROOT / "benchmarks" / "models.yaml").read_text(encoding="utf-8"))
SHAPES = {key: OrganismShape(**entry["organism"]) for key, entry in REGISTRY.items()}
PARAMS = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))
SCHEDULE = from_plain(TrainingSchedule, PARAMS["organisms"]["schedule"])


def folder_of(root: Path, key: str, seed: int) -> Path:
    """Where the session keeps an organism: base, sft, dpo and sham are folders in it."""
    return root / f"{key}-{seed}"


def trained(root: Path, key: str, seed: int) -> list[StageReport] | str:
    """The reports of one organism, trained if the session has not; the message of a failed gate."""
    folder = folder_of(root, key, seed)
    folder.mkdir(parents=True, exist_ok=True)
    with (root / f"{folder.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # two workers of one session: the second finds it done
        try:
            return train_organism(
                Order(key, SHAPES[key], 0, seed, SCHEDULE), folder, lambda stage, done, total: None
            )
        except GateError as error:
            return str(error)


def train_all(
    root: Path, keys: Sequence[str], seeds: Sequence[int]
) -> dict[tuple[str, int], list[StageReport] | str]:
    """All organisms of `keys` at `seeds`, in two processes."""
    wanted = [(key, seed) for seed in seeds for key in keys]
    with ProcessPoolExecutor(2, mp_context=get_context("spawn")) as pool:
        jobs = {(k, s): pool.submit(trained, root, k, s) for k, s in wanted}
        return {which: job.result() for which, job in jobs.items()}
