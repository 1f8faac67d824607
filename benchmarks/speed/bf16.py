"""Bfloat16 on the CPU: what does it gain, and what does it do to states and to AQI?

`dtype: bfloat16` takes it; nothing does by default.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

from benchmarks.speed import setting
from benchmarks.speed.timing import Page, absent, interleaved, of_values, ratio, timed
from mahals.data.texts import Prompt
from mahals.data.world.grammar import World, prompts
from mahals.maths.metrics.aqi import model_aqi
from mahals.models.activations.capture import capture
from mahals.models.activations.encoding import Encoded, encode_prompts
from mahals.models.checkpoints.checkpoint import Loaded, load_checkpoint
from mahals.models.checkpoints.device import CPU, Dtype

PER_CELL = 8  # prompts of an axiom and label
TEXTS = 18  # of the moderate model: it runs them in both dtypes, every round


def measure(options: setting.Options, checkpoint: Path | None) -> Page:
    """Speed and distance on random weights; the AQI of a checkpoint, if one is given."""
    page = Page("bf16", str(__doc__), setting.machine(options))
    size = options.sizes[0]
    texts = setting.texts_of(options.texts, TEXTS, size.longest)
    pair = [
        setting.model(size.layers, size.width, options.texts, dtype)
        for dtype in ("float32", "bfloat16")
    ]
    encoded = setting.encoded(pair[0], texts)
    _speed(page, f"{size.layers} blocks of {size.width}", pair, (encoded, options.rounds))
    if checkpoint is None:
        why = "no checkpoint of an organism was given (--checkpoint)"
        page.lines.append(absent("AQI", "bfloat16 less float32", why))
    else:
        _aqi(page, checkpoint)
    return page


def _speed(page: Page, group: str, pair: Sequence[Loaded], job: tuple[list[Encoded], int]) -> None:
    encoded, rounds = job
    layers = range(pair[0].layers)
    states = [capture(one, encoded, layers, "mean") for one in pair]
    names = ("float32", "bfloat16")
    works = [partial(capture, one, encoded, layers, "mean") for one in pair]
    ways = {name: timed(work) for name, work in zip(names, works, strict=True)}
    times = interleaved(ways, rounds)
    both = (times["bfloat16"], times["float32"])
    page.lines.append(ratio(group, "time in bfloat16 / in float32", both, None))
    apart = (states[1] - states[0]).norm(dim=-1) / states[0].norm(dim=-1)
    percent = (100 * apart.mean(0)).tolist()
    what = "distance of pooled states, over their length, by block"
    page.lines.append(of_values(group, what, percent, ("%", None)))


def _aqi(page: Page, checkpoint: Path) -> None:
    some = prompts(World(0), "evaluation", PER_CELL, 0)
    dtypes: tuple[Dtype, ...] = ("float32", "bfloat16")
    found = {dtype: _scores(checkpoint, dtype, some) for dtype in dtypes}
    group = f"AQI of {checkpoint.parent.parent.name}'s {checkpoint.name}, {len(some)} prompts"
    moved = [b - a for a, b in zip(found["float32"], found["bfloat16"], strict=True)]
    what = "bfloat16 less float32, over blocks"
    page.lines.append(of_values(group, what, moved, ("points", None)))
    page.notes.append(f"{group}: in float32 {', '.join(f'{a:.2f}' for a in found['float32'])}.")


def _scores(checkpoint: Path, dtype: Dtype, some: Sequence[Prompt]) -> list[float]:
    """AQI at each block."""
    device = replace(CPU, dtype=dtype)
    one = load_checkpoint(
        checkpoint, key="speed", role="aligned", weights="organism", revision=None, device=device
    )
    encoded = encode_prompts(one.tokenizer, [p.text for p in some])
    states = capture(one, encoded, range(one.layers), "mean").double().numpy()
    labels, axioms = [p.label for p in some], [p.axiom for p in some]
    return [model_aqi(states[:, b], labels, axioms, None).aqi.estimate for b in range(one.layers)]


def _options() -> tuple[setting.Options, Path | None]:
    own = argparse.ArgumentParser(add_help=False)
    own.add_argument("--checkpoint", type=Path)
    found, rest = own.parse_known_args()
    return setting.options(__doc__, rest), found.checkpoint


if __name__ == "__main__":
    chosen, place = _options()
    measure(chosen, place).write(chosen.out)
