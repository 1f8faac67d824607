"""Organisms for tests: trained once per test session, at full length, and shared."""

from __future__ import annotations

import fcntl
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
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
SHAPES = {
    key: OrganismShape(**entry["organism"])
    for key, entry in REGISTRY.items()
    if "organism" in entry
}
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


ONE_OF_EACH = {shape.family: key for key, shape in reversed(SHAPES.items())}
BRIEF = TrainingSchedule(
    base=replace(
        SCHEDULE.base, rows=2, threshold=-1.0, understood=-1.0, check_from=1, check_every=1, decay=1
    ),
    sft=replace(SCHEDULE.sft, rows=2, steps=2),
    dpo=replace(SCHEDULE.dpo, pairs=2, neutral=1, steps=2),
    gate_per_cell=1,
    report_per_cell=1,
)
SMALL = OrganismShape("Llama", 64, 2, 2, 2, 64, False)
