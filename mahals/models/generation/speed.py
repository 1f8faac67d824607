"""Speed: how many tokens does a model of known size read and write here in a second?

Measured once on random weights of a small model, in batches like those of a study, and told per
parameter: a larger checkpoint takes as much longer as it has more parameters.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from transformers import AutoModelForCausalLM, LlamaConfig

from mahals.models.activations.capture import capture
from mahals.models.activations.encoding import Encoded
from mahals.models.checkpoints.checkpoint import Loaded
from mahals.models.checkpoints.device import Device
from mahals.models.generation.decoding import generate_arms
from mahals.models.steering.interventions import Arm

SHAPE = {"hidden_size": 576, "intermediate_size": 1536, "num_hidden_layers": 8}
HEADS, GROUPS, VOCABULARY = 9, 3, 4096
LENGTH, READ, ROWS, NEW = 64, 8, 16, 8  # tokens of a text; texts read; texts answered; of a text


@dataclass(frozen=True)
class Speed:
    """Parameters x tokens in a second of one process; higher is faster."""

    read: float
    written: float

    def seconds(self, read: float, written: float) -> float:
        """Of so many parameters x tokens."""
        return read / self.read + written / self.written


def measured_speed(device: Device) -> Speed:
    """Of one process on this device: the faster of two tries, some seconds in all.

    On the CPU by the processor's time, so that what else runs slows nothing. Quantized weights are
    measured in the numbers they compute in.
    """
    loaded = _model(device)
    size = sum(p.numel() for p in loaded.model.parameters())
    texts = [Encoded(tuple(range(3, 3 + LENGTH)), 0, LENGTH)] * READ
    short = [Encoded(tuple(range(3, 3 + LENGTH // 4)), 0, LENGTH // 4)] * ROWS
    clock = time.process_time if device.is_cpu else time.perf_counter
    reading = _seconds(clock, lambda: capture(loaded, texts, [loaded.layers - 1], "mean"))
    writing = _seconds(clock, lambda: generate_arms(loaded, short, [Arm("unsteered", ())], NEW))
    return Speed(size * READ * LENGTH / reading, size * ROWS * NEW / writing)


def _model(device: Device) -> Loaded:
    shape = LlamaConfig(
        **SHAPE, num_attention_heads=HEADS, num_key_value_heads=GROUPS, vocab_size=VOCABULARY
    )
    shape.pad_token_id = shape.bos_token_id = 0
    shape.eos_token_id = None
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = AutoModelForCausalLM.from_config(shape, dtype=getattr(torch, device.dtype))
    model = model.to(device.name).eval()
    depth, width = SHAPE["num_hidden_layers"], SHAPE["hidden_size"]
    return Loaded(model, _Plain(), "speed", "random", "speed", depth, width, "hub")


class _Plain:
    """As much of a tokenizer as reading and writing ask for."""

    pad_token_id, eos_token_id = 0, None

    def decode(self, ids: Any, **_: Any) -> str:
        return " ".join(map(str, ids))


def _seconds(clock: Callable[[], float], work: Callable[[], object]) -> float:
    found = []
    for _ in range(2):
        began = clock()
        work()
        found.append(clock() - began)
    return min(found)
