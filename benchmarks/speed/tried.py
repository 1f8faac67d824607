"""Alternatives: what else might have made reading states faster, and did it?

Not part of `make bench`: NOTES.md holds what came out. `--profile` prints where the time of one
capture goes instead.
"""

from __future__ import annotations

import argparse
import cProfile
import pstats
from collections.abc import Callable
from dataclasses import replace
from functools import partial

import torch

from benchmarks.speed import setting
from benchmarks.speed.timing import Page, interleaved, ratio, timed
from mahals.models.activations.batching import batches, model_inputs
from mahals.models.activations.capture import capture
from mahals.models.activations.encoding import Encoded
from mahals.models.checkpoints.checkpoint import Loaded

BUDGETS = (256, 512, 1024, 4096, 8192)
SHAPE = setting.Size(16, 256, 200, 48)


def bare(loaded: Loaded, encoded: list[Encoded], budget: int | None = None) -> None:
    """The batches through the blocks, in inference mode."""
    with torch.inference_mode():
        for batch in batches(loaded, encoded, budget=budget):
            loaded.model.base_model(**model_inputs(loaded, batch), use_cache=False)


def without_inference_mode(loaded: Loaded, encoded: list[Encoded]) -> None:
    """The same under no_grad alone."""
    with torch.no_grad():
        for batch in batches(loaded, encoded):
            loaded.model.base_model(**model_inputs(loaded, batch), use_cache=False)


def eager(loaded: Loaded) -> Loaded:
    """The same weights with attention written out instead of sdpa."""
    model = type(loaded.model)(loaded.model.config).eval()
    model.load_state_dict(loaded.model.state_dict())
    model.set_attn_implementation("eager")
    return replace(loaded, model=model)


def compiled(loaded: Loaded) -> Loaded:
    """The blocks compiled, for batches of any shape."""
    model = type(loaded.model)(loaded.model.config).eval()
    model.load_state_dict(loaded.model.state_dict())
    for block in model.model.layers:
        block.compile(dynamic=True)
    return replace(loaded, model=model)


def measure(options: setting.Options, compile_too: bool) -> Page:
    """Each idea against the blocks alone as this package runs them."""
    page = Page("tried", str(__doc__), setting.machine())
    size = options.sizes[0] if options.tiny else SHAPE
    loaded = setting.model(size.layers, size.width, options.texts)
    encoded = setting.encoded(loaded, setting.texts_of(options.texts, size.texts, size.longest))
    works: dict[str, Callable[[], object]] = {
        "as it is": partial(bare, loaded, encoded),
        "no_grad instead of inference_mode": partial(without_inference_mode, loaded, encoded),
        "eager attention instead of sdpa": partial(bare, eager(loaded), encoded),
    }
    for budget in BUDGETS:
        works[f"batches of {budget} tokens instead of 2048"] = partial(
            bare, loaded, encoded, budget
        )
    if compile_too:
        works["torch.compile of the blocks"] = partial(bare, compiled(loaded), encoded)
    first = {name: timed(work)() for name, work in works.items()}
    times = interleaved({name: timed(work) for name, work in works.items()}, options.rounds)
    for name in list(works)[1:]:
        page.lines.append(ratio(str(size), name, (times[name], times["as it is"]), None))
    if compile_too:
        seconds = first["torch.compile of the blocks"].wall
        page.notes.append(f"The first pass of the compiled blocks took {seconds:.0f} s.")
    return page


def profile(options: setting.Options) -> None:
    """Prints the functions in which a capture spends its time."""
    size = options.sizes[0] if options.tiny else SHAPE
    loaded = setting.model(size.layers, size.width, options.texts)
    encoded = setting.encoded(loaded, setting.texts_of(options.texts, size.texts, size.longest))
    capture(loaded, encoded, range(loaded.layers), "mean")
    watch = cProfile.Profile()
    watch.runcall(capture, loaded, encoded, range(loaded.layers), "mean")
    pstats.Stats(watch).sort_stats("tottime").print_stats(16)


if __name__ == "__main__":
    own = argparse.ArgumentParser(add_help=False)
    own.add_argument("--profile", action="store_true")
    own.add_argument("--compile", action="store_true", help="torch.compile too: half a minute")
    found, rest = own.parse_known_args()
    chosen = setting.options(__doc__, rest)
    if found.profile:
        profile(chosen)
    else:
        measure(chosen, found.compile).write(chosen.out)
