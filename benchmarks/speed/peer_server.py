"""How long do other libraries take for the same states, in an environment of their own?

Runs under the python of that environment, without this package. Reads one JSON command a line and
answers with one: {"load": ...} reads a model, texts and batches from a folder, and runs each way
(with "warm" that way alone) on a few texts; {"time": way} and {"peak": way} run a way once. In that
environment:

    pip install "torch>=2.13,<2.14" "transformers<5" "numpy<2" steering-vectors==0.12.2 \
        repeng==0.4.0 nnsight==0.8.1
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable
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
    return Job(model, tokenizer, texts, batches, LanguageModel(model, tokenizer=tokenizer))


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


WAYS: dict[str, Callable[[Job], None]] = {
    "blocks alone": blocks_alone,
    "steering-vectors, 1 pair at a time (its default)": steering_vectors(1),
    "steering-vectors, 16 pairs at a time": steering_vectors(16),
    "repeng, 32 texts at a time (its default)": repeng,
    "nnsight, 16 texts at a time": nnsight(16),
}


def peak(run: Callable[[Job], None], job: Job) -> int:
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


def answer(command: dict[str, str], job: Job | None) -> dict[str, Any]:
    """The answer to {"time": way} or {"peak": way}."""
    if job is None:
        raise RuntimeError("load comes first")
    if "peak" in command:
        return {"peak": peak(WAYS[command["peak"]], job)}
    cpu, wall = time.process_time(), time.perf_counter()
    WAYS[command["time"]](job)
    return {"wall": time.perf_counter() - wall, "cpu": time.process_time() - cpu}


def main() -> None:
    """Answers commands until the input ends; what libraries print goes to the error stream."""
    out = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    job: Job | None = None
    for line in sys.stdin:
        command = json.loads(line)
        if "load" in command:
            job = load(Path(command["load"]))
            few = replace(job, texts=job.texts[:4], batches=job.batches[-1:])
            for name, way in WAYS.items():
                if command.get("warm", name) == name:
                    way(few)  # what a first call alone pays for
            said: dict[str, Any] = {
                "ways": list(WAYS),
                "versions": {name: version(name) for name in PACKAGES},
            }
        else:
            said = answer(command, job)
        print(json.dumps(said), file=out, flush=True)


if __name__ == "__main__":
    main()
