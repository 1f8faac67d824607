"""Peers: how is a library that needs other versions timed beside this package, round by round?

A process under that environment's python holds the model and waits; it is told to run one way, and
says how long it took. While it waits it takes no processor time.
"""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from safetensors.torch import save_file
from torch import Tensor

from benchmarks.speed.timing import Seconds, Way
from mahals.models.activations.batching import batches
from mahals.models.activations.encoding import Encoded
from mahals.models.checkpoints.checkpoint import Loaded
from mahals.models.steering.interventions import Arm

SERVER = Path(__file__).with_name("peer_server.py")
LIMIT = "blocks alone"


class Peers:
    """A running peer process that has loaded a job."""

    def __init__(self, process: subprocess.Popen[str], load: dict[str, str]) -> None:
        self.process = process
        said = self.ask(load)
        self.names: list[str] = said["ways"]
        self.versions: dict[str, str] = said["versions"]

    def ask(self, command: dict[str, str]) -> dict[str, Any]:
        """One command, one answer. Raises RuntimeError when the process has ended."""
        assert self.process.stdin is not None and self.process.stdout is not None
        self.process.stdin.write(json.dumps(command) + "\n")
        self.process.stdin.flush()
        line = self.process.stdout.readline()
        if not line:
            raise RuntimeError(f"the peers' process ended with {self.process.wait()}: {command}")
        answer: dict[str, Any] = json.loads(line)
        return answer

    def way(self, name: str) -> Way:
        """A way of the peers, timed over there."""

        def run() -> Seconds:
            said = self.ask({"time": name})
            return Seconds(said["wall"], said["cpu"])

        return run

    def shown(self, name: str) -> Any:
        """What a way of the peers found."""
        return self.ask({"show": name})["shown"]


@contextmanager
def peers(
    python: str, folder: Path, task: str = "capture", warm: str | None = None
) -> Iterator[Peers]:
    """The peers' process with the job of `folder` loaded; it ends with the block.

    Each way of the task has run once on a few texts, or, with `warm`, that way alone.
    """
    load = {"load": str(folder), "task": task, **({} if warm is None else {"warm": warm})}
    log = folder / "peers.log"
    with log.open("a") as errors:
        process = subprocess.Popen(
            [python, "-P", str(SERVER)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
            env={**os.environ, "PYTHONPATH": "", "OMP_NUM_THREADS": "1"},
        )
        try:
            yield Peers(process, load)
        except RuntimeError as error:
            raise RuntimeError(f"{error}\n{log.read_text()[-2000:]}") from error
        finally:
            if process.stdin is not None:
                process.stdin.close()
            process.wait(timeout=60)


def save_arms(folder: Path, arms: Sequence[Arm]) -> None:
    """Writes the arms that the peers steer with; all steps of an arm have one strength."""
    tensors: dict[str, Tensor] = {}
    said = []
    for i, arm in enumerate(arms):
        tensors |= {f"{i}.{s.block}": s.direction.clone() for s in arm.steps}
        (strength,) = {step.strength for step in arm.steps}
        said.append({"blocks": [step.block for step in arm.steps], "strength": strength})
    save_file(tensors, folder / "arms.safetensors")
    (folder / "arms.json").write_text(json.dumps(said))


def save_job(
    folder: Path, loaded: Loaded, texts: Sequence[str], encoded: Sequence[Encoded]
) -> None:
    """Writes what the peers read: the model, its tokenizer, the texts, our sorted batches."""
    loaded.model.save_pretrained(folder)
    loaded.tokenizer.save_pretrained(folder)
    (folder / "texts.json").write_text(json.dumps(list(texts)))
    tensors = {}
    for i, batch in enumerate(batches(loaded, encoded)):
        tensors[f"ids{i}"], tensors[f"mask{i}"] = batch.ids, batch.mask
    save_file(tensors, folder / "batches.safetensors")
