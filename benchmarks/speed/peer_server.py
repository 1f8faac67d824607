"""Peer server: how long do other libraries take for the same states, in their own environment?

Runs under the python of that environment, without this package. Reads one JSON command a line and
answers with one: {"load": ..., "task": ...} reads a model, texts, batches and arms from a folder,
and runs each way of the task (with "warm" that way alone) on a few texts; {"time": way},
{"peak": way} and {"show": way} run a way once. In that environment:

    pip install "torch>=2.13,<2.14" "transformers<5" "numpy<2" steering-vectors==0.12.2 \
        repeng==0.4.0 nnsight==0.8.1
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

os.environ.update({"TOKENIZERS_PARALLELISM": "false", "HF_HUB_OFFLINE": "1"})
PACKAGES = ("steering-vectors", "repeng", "nnsight", "transformers", "torch", "numpy")


@dataclass(frozen=True)
class Job:
    """What every way reads."""

    model: Any
    tokenizer: Any
    texts: list[str]
    batches: list[dict[str, Any]]  # sorted by length, as this package makes them
    arms: list[tuple[dict[int, Any], float]]  # what is added at each block (d,), and how strongly
    traced: Any  # nnsight's view of the model


def load(folder: Path) -> Job:
    """The model, its tokenizer, the texts and the batches of a folder."""
    import torch
    from nnsight import LanguageModel
    from safetensors.torch import load_file
    from transformers import AutoModelForCausalLM, PreTrainedTokenizerFast

    torch.set_num_threads(1)
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
    names = {"bos_token": "<begin>", "eos_token": "<end>", "pad_token": "<pad>"}
    file = str(folder / "tokenizer.json")
    tokenizer = PreTrainedTokenizerFast(tokenizer_file=file, padding_side="right", **names)
    texts = json.loads((folder / "texts.json").read_text())
    flat = load_file(folder / "batches.safetensors")
    batches = [
        {"input_ids": flat[f"ids{i}"], "attention_mask": flat[f"mask{i}"]}
        for i in range(len(flat) // 2)
    ]
    arms, vectors = [], folder / "arms.safetensors"
    if vectors.is_file():
        rows = load_file(vectors)
        for i, arm in enumerate(json.loads((folder / "arms.json").read_text())):
            arms.append(({b: rows[f"{i}.{b}"] for b in arm["blocks"]}, arm["strength"]))
    return Job(model, tokenizer, texts, batches, arms, LanguageModel(model, tokenizer=tokenizer))


def blocks_alone(job: Job) -> None:
    """The limit: the batches through the blocks, nothing read, no LM head."""
    import torch

    with torch.inference_mode():
        for batch in job.batches:
            job.model.model(**batch, use_cache=False)


def steering_vectors(size: int) -> Callable[[Job], None]:
    """steering-vectors on all texts, in file order, `size` pairs of texts at a time."""

    def run(job: Job) -> None:
        from steering_vectors.train_steering_vector import extract_activations

        pairs = list(zip(job.texts[::2], job.texts[1::2], strict=True))
        extract_activations(job.model, job.tokenizer, pairs, batch_size=size)

    return run


def repeng(job: Job) -> None:
    """repeng on all texts, in file order, with its own batch size."""
    import repeng.extract

    layers = list(range(job.model.config.num_hidden_layers))
    repeng.extract.batched_get_hiddens(job.model, job.tokenizer, job.texts, layers, 32)


def nnsight(size: int) -> Callable[[Job], None]:
    """nnsight on all texts, in file order: every block's output, pooled inside the trace."""

    def run(job: Job) -> None:
        for at in range(0, len(job.texts), size):
            _trace(job, job.texts[at : at + size])

    return run


def _trace(job: Job, texts: list[str]) -> list[Any]:
    import nnsight as library
    import torch

    inputs = job.tokenizer(texts, return_tensors="pt", padding=True)
    weights = inputs["attention_mask"].float()
    weights = (weights / weights.sum(-1, keepdim=True))[..., None]
    model, depth = job.traced, job.model.config.num_hidden_layers
    with torch.inference_mode(), model.trace(dict(inputs)):
        found: list[Any] = library.save([])
        for block in range(depth):
            output = model.model.layers[block].output
            states = output if isinstance(output, torch.Tensor) else output[0]
            found.append((states * weights).sum(1))
    assert len(found) == depth and found[0].shape[0] == len(texts)
    return found


Steer = Callable[[Job, "dict[int, Any]", float], AbstractContextManager[Any]]
"""Inside, the model is steered by vectors (block -> (d,)) times a strength."""


def by_steering_vectors(
    job: Job, vectors: dict[int, Any], strength: float
) -> AbstractContextManager[Any]:
    """steering-vectors: hooks on the blocks."""
    from steering_vectors import SteeringVector

    found: AbstractContextManager[Any] = SteeringVector(vectors).apply(
        job.model, multiplier=strength
    )
    return found


@contextmanager
def by_repeng(job: Job, vectors: dict[int, Any], strength: float) -> Iterator[None]:
    """repeng: the blocks are wrapped."""
    from repeng import ControlModel, ControlVector

    wrapped = ControlModel(job.model, list(vectors))
    try:
        directions = {b: v.numpy() for b, v in vectors.items()}
        wrapped.set_control(ControlVector("llama", directions), strength)
        yield
    finally:
        wrapped.unwrap()


def sweep(steer: Steer) -> Callable[[Job], list[list[float]]]:
    """A pass for each arm over the sorted batches, without the LM head.

    Gives, per arm, the mean state of all real tokens.
    """

    def run(job: Job) -> list[list[float]]:
        import torch

        found = []
        for vectors, strength in job.arms:
            with torch.inference_mode(), steer(job, vectors, strength):
                sums = [_summed(job, batch) for batch in job.batches]
            tokens = sum(int(b["attention_mask"].sum()) for b in job.batches)
            found.append((torch.stack(sums).sum(0) / tokens).tolist())
        return found

    return run


def _summed(job: Job, batch: dict[str, Any]) -> Any:
    import torch

    rows, length = batch["input_ids"].shape
    places = torch.arange(length).expand(rows, length)  # repeng asks for a row each
    out = job.model.model(**batch, position_ids=places, use_cache=False)
    states = out.last_hidden_state
    return (states * batch["attention_mask"][..., None]).sum((0, 1))


def generation(steer: Steer) -> Callable[[Job], list[list[int]]]:
    """The model's own greedy generate of the first text, one arm after another: its new tokens."""

    def run(job: Job) -> list[list[int]]:
        import torch

        batch = {name: values[:1] for name, values in job.batches[0].items()}
        length, found = batch["input_ids"].shape[1], []
        for vectors, strength in job.arms:
            with torch.inference_mode(), steer(job, vectors, strength):
                out = job.model.generate(**batch, max_new_tokens=8, do_sample=False)
            found.append(out[0, length:].tolist())
        return found

    return run


STEERED: dict[str, Steer] = {
    "steering-vectors, one arm after another": by_steering_vectors,
    "repeng, one arm after another": by_repeng,
}
WAYS: dict[str, Callable[[Job], None]] = {
    "blocks alone": blocks_alone,
    "steering-vectors, 1 pair at a time (its default)": steering_vectors(1),
    "steering-vectors, 16 pairs at a time": steering_vectors(16),
    "repeng, 32 texts at a time (its default)": repeng,
    "nnsight, 16 texts at a time": nnsight(16),
}
TASKS: dict[str, dict[str, Callable[[Job], Any]]] = {
    "capture": dict(WAYS),
    "sweep": {name: sweep(steer) for name, steer in STEERED.items()},
    "generation": {name: generation(steer) for name, steer in STEERED.items()},
}


def peak(run: Callable[[Job], Any], job: Job) -> int:
    """Bytes of resident memory that `run` takes at its highest above where it began."""
    Path("/proc/self/clear_refs").write_text("5")
    before = _status("VmRSS")
    run(job)
    return _status("VmHWM") - before


def _status(name: str) -> int:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(f"{name}:"):
            return int(line.split()[1]) * 1024
    raise RuntimeError(f"the system does not say {name}")


def answer(command: dict[str, str], job: Job, ways: dict[str, Callable[[Job], Any]]) -> Any:
    """The answer to {"time": way}, {"peak": way} or {"show": way}."""
    if "peak" in command:
        return {"peak": peak(ways[command["peak"]], job)}
    if "show" in command:
        return {"shown": ways[command["show"]](job)}
    cpu, wall = time.process_time(), time.perf_counter()
    ways[command["time"]](job)
    return {"wall": time.perf_counter() - wall, "cpu": time.process_time() - cpu}


def main() -> None:
    """Answers commands until the input ends; what libraries print goes to the error stream.

    The first command is a load.
    """
    out = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    job, ways = None, WAYS
    for line in sys.stdin:
        command = json.loads(line)
        if job is None:
            job, ways = load(Path(command["load"])), TASKS[command["task"]]
            few = replace(job, texts=job.texts[:4], batches=job.batches[-1:], arms=job.arms[:1])
            for name, way in ways.items():
                if command.get("warm", name) == name:
                    way(few)  # what a first call alone pays for
            versions = {name: version(name) for name in PACKAGES}
            said: Any = {"ways": list(ways), "versions": versions}
        else:
            said = answer(command, job, ways)
        print(json.dumps(said), file=out, flush=True)


if __name__ == "__main__":
    main()
