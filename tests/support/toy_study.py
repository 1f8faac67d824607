"""What is a study of toy phases, in a folder of its own, run here or in a process of its own?"""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest import mock

import yaml

from mahals.harness.engines.pool import Handler, Job
from mahals.harness.runner import summarize
from mahals.harness.runner.progress import Console, Session
from mahals.harness.runner.study import run_phase
from mahals.harness.workspace.paths import Workspace
from mahals.harness.workspace.results import Results
from mahals.harness.workspace.settings import Settings, load_settings
from tests.support.places import ROOT
from tests.support.toy_phases import NAMES

PARAMS: dict[str, Any] = {
    "models": ["A", "B"],
    "model": "none",
    "study": "core",
    "overlay": "none",
    "upstream": "run",
    "limit": 0,
    "engine": "local",
    "cache_gb": 0,
    "weights": "organism",
    "seed": 0,
    "device": "auto",
    "dtype": "auto",
    "quantize": "none",
    "device_map": "none",
    "words": {"count": 3},
    "grow": {"tasks": 4, "seconds": 0.0, "scale": 1.0},
    "cross": {"power": 2},
}


def entry(key: str) -> dict[str, Any]:
    """A registry entry of no model that exists."""
    return {
        "family": "Llama",
        "pair": "sft->dpo",
        "base": {"id": f"x/{key}", "revision": "1"},
        "aligned": {"id": f"x/{key}-dpo", "revision": "1"},
        "gated": False,
        "licence": "none",
        "layers": 2,
        "width": 8,
        "organism": {"width": 8},
        "note": "",
    }


def make(root: Path, **changes: Any) -> Workspace:
    """A workspace of toy phases at `root`; `changes` are top-level keys of params.yaml."""
    (root / "benchmarks").mkdir(parents=True, exist_ok=True)
    (root / "params.yaml").write_text(yaml.safe_dump({**PARAMS, **changes}))
    models = {key: entry(key) for key in "ABC"}
    (root / "benchmarks/models.yaml").write_text(yaml.safe_dump(models))
    (root / "benchmarks/more.yaml").write_text(yaml.safe_dump({"grow": {"tasks": 5}}))
    return Workspace(root, package="tests.support.toy_phases", names=NAMES)


def run(
    workspace: Workspace, name: str, session: Session | None = None, **sets: Any
) -> list[Results]:
    """Runs a toy phase, with the values of `sets` (dots as double underscores).

    In worker processes if the session names their number, else in this process.
    """
    session = session or Session(quiet())
    settings = settings_of(workspace, **sets)
    if session.workers:
        return run_phase(name, settings, workspace, session)
    with inline():
        return run_phase(name, settings, workspace, session)


class Inline:
    """A pool without processes."""

    workers = 1

    def __init__(self, *details: Any) -> None: ...

    def __enter__(self) -> Inline:
        return self

    def __exit__(self, *details: object) -> None: ...

    def run(self, jobs: Sequence[Job], handler: Handler) -> None:
        waiting = list(jobs)
        while waiting:
            job = waiting.pop(0)
            try:
                value = job.function(job.argument, lambda *step: None)
            except Exception as error:
                handler.failed(job, error)
                raise
            waiting += handler.done(job, value)
            handler.tick()


@contextmanager
def inline() -> Iterator[None]:
    """Inside, the runner works in this process."""
    with mock.patch.object(summarize, "open_pool", Inline):
        yield


def settings_of(workspace: Workspace, **sets: Any) -> Settings:
    """The settings of a workspace with some values set."""
    dotted = {key.replace("__", "."): value for key, value in sets.items()}
    return load_settings(workspace, None, dotted)


def quiet() -> Console:
    """A console that keeps what it was told."""
    return Console(io.StringIO())


def start(root: Path, name: str, workers: int = 1, **sets: Any) -> subprocess.Popen[str]:
    """Runs a toy phase in a process of its own."""
    command = [sys.executable, "-m", "tests.support.toy_study", str(root), name, str(workers)]
    return subprocess.Popen(
        [*command, json.dumps(sets)],
        env={**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


if __name__ == "__main__":
    place = Workspace(Path(sys.argv[1]), package="tests.support.toy_phases", names=NAMES)
    values = settings_of(place, **json.loads(sys.argv[4]))
    session = Session(Console(sys.stdout), workers=int(sys.argv[3]))
    run_phase(sys.argv[2], values, place, session)
