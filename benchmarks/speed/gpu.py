"""GPU: what do the lower bands cost on one, at the real shapes of 7B to 9B models?

Random weights in bfloat16, and in 4 bits where bitsandbytes is there, and a checkpoint's own in
float32 and bfloat16 (`--checkpoint FOLDER`, for example SmolLM2's), all read by `load_checkpoint`
onto the device that the keys `device`, `dtype` and `quantize` would give. No MLflow: a node with
torch and transformers runs it. Without CUDA an absent row says so.
"""

from __future__ import annotations

import argparse
import importlib.util
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from transformers import AutoModelForCausalLM, Gemma2Config, LlamaConfig, MistralConfig

from benchmarks.speed import generation, setting
from benchmarks.speed.timing import (
    Bar,
    Line,
    Page,
    Seconds,
    Times,
    Way,
    absent,
    interleaved,
    of_values,
    ratio,
)
from mahals.models.activations.batching import batches, model_inputs
from mahals.models.activations.capture import capture
from mahals.models.activations.encoding import Encoded
from mahals.models.checkpoints.checkpoint import Loaded, load_checkpoint
from mahals.models.checkpoints.device import Device, DeviceKeys, Quantize, device_of
from mahals.models.generation.decoding import generate_arms
from mahals.models.steering.interventions import Arm, Intervention
from mahals.models.steering.replay import capture_arms

GIB = 1 << 30
TEXTS, LONGEST, ARMS, NEW = 256, 128, 32, 32
STRENGTHS = (0.0, 0.25, 0.5, 0.75, 1.0)
CAPTURE, TOGETHER, FASTER = Bar("<=", 1.10), Bar("<=", 1.10), Bar(">=", 4)


def shapes() -> dict[str, Any]:
    """The configs of the real checkpoints."""
    grouped = {"num_attention_heads": 32, "num_key_value_heads": 8, "hidden_size": 4096}
    return {
        "Mistral-7B": MistralConfig(
            **grouped, num_hidden_layers=32, intermediate_size=14336, vocab_size=32768
        ),
        "Llama-3.1-8B": LlamaConfig(
            **grouped, num_hidden_layers=32, intermediate_size=14336, vocab_size=128256
        ),
        "Gemma-2-9B": Gemma2Config(
            hidden_size=3584,
            num_hidden_layers=42,
            num_attention_heads=16,
            num_key_value_heads=8,
            head_dim=256,
            intermediate_size=14336,
            vocab_size=256000,
        ),
    }


def small() -> dict[str, Any]:
    """A toy shape: shows that it runs, also without CUDA."""
    return {"toy Llama": setting.config(4, 64)}


@dataclass(frozen=True)
class Job:
    """One model with its texts."""

    group: str
    loaded: Loaded
    encoded: Sequence[Encoded]
    rounds: int


def keys(bits: int, device: str) -> DeviceKeys:
    """The keys of params.yaml for weights of so many bits."""
    packed: Quantize = "4bit" if bits == 4 else "none"
    return DeviceKeys(device, "float32" if bits == 32 else "bfloat16", packed, "none")


def built(name: str, config: Any, device: Device) -> Loaded:
    """Random weights, saved and read as any checkpoint is: made where they are put, in bfloat16."""
    config.pad_token_id, config.bos_token_id, config.eos_token_id = 0, 1, 2
    with torch.device(device.name), torch.random.fork_rng():
        torch.manual_seed(0)
        model = AutoModelForCausalLM.from_config(config, dtype=torch.bfloat16)
    with tempfile.TemporaryDirectory() as folder:
        model.save_pretrained(folder)
        setting.tokenizer(None).save_pretrained(folder)
        del model
        if not device.is_cpu:
            torch.cuda.empty_cache()
        return read(Path(folder), name, device)


def read(folder: Path, name: str, device: Device) -> Loaded:
    """A checkpoint on the device."""
    return load_checkpoint(
        folder, revision=None, known="speed", key=name, role="base", weights="hub", device=device
    )


def texts(vocabulary: int, count: int, longest: int) -> list[Encoded]:
    """Random tokens of ragged lengths."""
    draw = torch.Generator().manual_seed(0)
    lengths = torch.randint(longest // 8, longest + 1, (count,), generator=draw).tolist()
    found = []
    for n in lengths:
        ids = torch.randint(3, vocabulary, (n,), generator=draw).tolist()
        found.append(Encoded(tuple(ids), 0, n))
    return found


def timed(work: Callable[[], object]) -> Way:
    """As timing.timed, but waits for the GPU on both sides."""

    def run() -> Seconds:
        _wait()
        cpu, wall = time.process_time(), time.perf_counter()
        work()
        _wait()
        return Seconds(time.perf_counter() - wall, time.process_time() - cpu)

    return run


def _wait() -> None:
    if torch.cuda.is_available():
        torch.cuda.synchronize()


def blocks_alone(job: Job) -> Callable[[], None]:
    """The limit: ready batches through the blocks."""
    inputs = [model_inputs(job.loaded, b) for b in batches(job.loaded, job.encoded)]

    def run() -> None:
        with torch.inference_mode():
            for batch in inputs:
                job.loaded.model.base_model(**batch, use_cache=False)

    return run


def arms_of(loaded: Loaded, count: int) -> list[Arm]:
    """Random vectors at the block three quarters up."""
    block, made = loaded.layers * 3 // 4, []
    for i in range(count):
        vector = torch.randn(loaded.width, generator=torch.Generator().manual_seed(i))
        made.append(Arm(str(i), (Intervention(block, vector, STRENGTHS[i % 5], "add"),)))
    return made


def measure_one(page: Page, job: Job) -> None:
    """Capture, sweep, generation and memory of one model."""
    loaded, encoded = job.loaded, job.encoded
    layers, some = range(loaded.layers), arms_of(loaded, 10)
    last = [loaded.layers - 1]
    few = encoded[:ARMS]
    steered, plain = generation.arms(loaded.layers, loaded.width), [Arm("unsteered", ())]
    ways: dict[str, Callable[[], object]] = {
        "blocks": blocks_alone(job),
        "capture": lambda: capture(loaded, encoded, layers, "mean"),
        "sweep": lambda: capture_arms(loaded, few, some, last, "mean"),
        "few": lambda: capture(loaded, few, last, "mean"),
        "steered": lambda: generate_arms(loaded, encoded[:1], steered, NEW),
        "alone": lambda: generate_arms(loaded, encoded[:1], steered[:1], NEW),
        "each": lambda: generation.each_reads(loaded, encoded[:1], steered, NEW),
        "plain": lambda: generate_arms(loaded, list(encoded[:1]) * ARMS, plain, NEW),
    }
    for work in ways.values():
        work()
    times = interleaved({name: timed(work) for name, work in ways.items()}, job.rounds)
    tokens = sum(len(e.ids) for e in encoded)
    rates = [tokens / t.wall for t in times["capture"]]
    put = page.lines.append
    put(of_values(job.group, "capture of all blocks", rates, ("tokens/s", None)))
    pair = (times["capture"], times["blocks"])
    put(ratio(job.group, "capture / the blocks alone", pair, CAPTURE))
    put(_swept(job, some, times))
    what = f"{ARMS} arms in one batch / an unsteered batch"
    put(ratio(job.group, what, (times["steered"], times["plain"]), TOGETHER))
    what = "the same, each row reading the prompt as the unsteered ones do"
    put(ratio(job.group, what, (times["each"], times["plain"]), TOGETHER))
    alone = [len(steered) * a.wall for a in times["alone"]]
    ups = [a / t.wall for a, t in zip(alone, times["steered"], strict=True)]
    put(of_values(job.group, "one arm at a time / one batch", ups, ("x", FASTER)))
    if torch.cuda.is_available():
        page.notes.append(f"{job.group}: {_memory(ways)}.")
    rates = [ARMS * NEW / t.wall for t in times["steered"]]
    put(of_values(job.group, f"steered answers, {ARMS} in a batch", rates, ("tokens/s", None)))


def _swept(job: Job, some: Sequence[Arm], times: Times) -> Line:
    """How much of the speed-up that counting block calls promises is measured."""
    layers = job.loaded.layers
    active = [a for a in some if a.first is not None]
    calls = layers + sum(layers - 1 - (a.first or 0) for a in active)
    promised = len(some) * layers / calls
    ups = [len(some) * b.wall / a.wall for a, b in zip(times["sweep"], times["few"], strict=True)]
    what = f"sweep of {len(some)} arms, measured / counted speed-up ({promised:.2f})"
    return of_values(job.group, what, [u / promised for u in ups], ("x", Bar(">=", 0.85)))


def _memory(ways: Mapping[str, Callable[[], object]]) -> str:
    """What the weights take, and what the peak of each way is above them."""
    held = torch.cuda.memory_allocated()
    parts = [f"weights {held / GIB:.1f} GiB, peak above them"]
    for name, work in ways.items():
        torch.cuda.reset_peak_memory_stats()
        work()
        parts.append(f"{name} {(torch.cuda.max_memory_allocated() - held) / GIB:.2f}")
    return ", ".join(parts) + " GiB"


def _one(page: Page, group: str, loaded: Loaded, options: setting.Options) -> None:
    """Measures one model and writes the page: an error in a later one costs nothing of it."""
    count, longest = (12, 32) if options.tiny else (TEXTS, LONGEST)
    vocabulary = loaded.model.get_input_embeddings().weight.shape[0]
    measure_one(page, Job(group, loaded, texts(vocabulary, count, longest), options.rounds))
    page.write(options.out)
    if torch.cuda.is_available():
        torch.cuda.empty_cache()


def measure(options: setting.Options, checkpoint: Path | None = None) -> Page:
    """Every shape at 16 bits, a checkpoint at 32 and 16; shapes at 4 bits with bitsandbytes."""
    page = Page("gpu", str(__doc__), setting.machine())
    there = torch.cuda.is_available()
    if not there and not options.tiny:
        page.lines.append(absent("GPU", "all of it", "no GPU could be had"))
        return page
    name_of_device = "cuda" if there else "cpu"
    if there:
        page.setting["device"] = torch.cuda.get_device_name()
    four = there and importlib.util.find_spec("bitsandbytes") is not None
    chosen = small() if options.tiny else shapes()
    for name, config in chosen.items():
        device = device_of(keys(16, name_of_device), "hub")
        _one(page, f"{name}, 16 bits", built(name, config, device), options)
    if checkpoint is not None:
        for bits in (32, 16):
            device = device_of(keys(bits, name_of_device), "hub")
            loaded = read(checkpoint, checkpoint.name, device)
            _one(page, f"{checkpoint.name}, {bits} bits", loaded, options)
    for name, config in chosen.items() if four else ():
        device = device_of(keys(4, name_of_device), "hub")
        _one(page, f"{name}, 4 bits", built(name, config, device), options)
    if not four:
        page.lines.append(absent("4 bits", "all of it", "no CUDA with bitsandbytes here"))
    return page


def _options() -> tuple[setting.Options, Path | None]:
    own = argparse.ArgumentParser(add_help=False)
    own.add_argument("--checkpoint", type=Path)
    found, rest = own.parse_known_args()
    return setting.options(__doc__, rest), found.checkpoint


if __name__ == "__main__":
    chosen, place = _options()
    measure(chosen, place).write(chosen.out)
