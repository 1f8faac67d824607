"""How much faster is a sweep over strengths and vectors than a pass for each configuration?

The bar compares the measured speed-up with the one that counting block calls promises.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from statistics import median

import torch

from benchmarks.speed import setting
from benchmarks.speed.timing import Bar, Page, interleaved, of_values, timed
from mahals.activations import Encoded, batches, capture
from mahals.models import Loaded, decoder_blocks
from mahals.steering import Arm, Step, capture_arms, steered

BAR = Bar(">=", 0.85)
STRENGTHS = (0.0, 0.25, 0.5, 0.75, 1.0)
CASES = ((16, 768, 2, 50), (32, 256, 7, 100))
"""Blocks, width, vectors, texts; the vectors steer the last five blocks."""


def arms(layers: int, width: int, vectors: int) -> list[Arm]:
    """`vectors` random vectors at every strength, each along the last five blocks."""
    made = []
    for v in range(vectors):
        rows = torch.randn(layers, width, generator=torch.Generator().manual_seed(v))
        for x in STRENGTHS:
            steps = tuple(Step(b, rows[b], x, "add") for b in range(layers - 5, layers))
            made.append(Arm(f"{v} at {x:g}", steps))
    return made


def naive(loaded: Loaded, encoded: Sequence[Encoded], some: Sequence[Arm]) -> torch.Tensor:
    """(arms, n, 1, d): a whole pass for every configuration, in the same batches."""
    found = torch.empty(len(some), len(encoded), 1, loaded.width)
    groups = [batch.rows for batch in batches(loaded, encoded)]
    for a, arm in enumerate(some):
        for rows in groups:
            texts = [encoded[r] for r in rows]
            with steered(loaded.model, [arm], [0] * len(rows)):
                found[a, list(rows)] = capture(loaded, texts, [loaded.layers - 1], "mean")
    return found


@contextmanager
def counted(loaded: Loaded) -> Iterator[list[int]]:
    """Inside, the block calls of the model are counted."""
    calls: list[int] = []
    blocks = decoder_blocks(loaded.model)
    hooks = [b.register_forward_pre_hook(lambda *_: calls.append(1)) for b in blocks]
    try:
        yield calls
    finally:
        for hook in hooks:
            hook.remove()


def measure(options: setting.Options) -> Page:
    """Measured over counted speed-up of every case, and the speed-up itself."""
    page = Page("sweep", str(__doc__), setting.machine(options))
    for layers, width, vectors, count in ((8, 64, 2, 4),) if options.tiny else CASES:
        loaded = setting.model(layers, width, options.texts)
        encoded = setting.encoded(loaded, setting.texts_of(options.texts, count, 24))
        some = arms(layers, width, vectors)
        _case(page, (loaded, encoded, some), options.rounds)
    return page


def _case(page: Page, job: tuple[Loaded, Sequence[Encoded], Sequence[Arm]], rounds: int) -> None:
    loaded, encoded, some = job
    depth = loaded.layers - 1
    shape = f"{loaded.layers} blocks of {loaded.width}, the last 5 steered"
    group = f"{shape}, {len(some)} arms, {len(encoded)} texts"

    def sweep() -> torch.Tensor:
        return capture_arms(loaded, encoded, some, [depth], "mean")

    with counted(loaded) as once:
        swept = sweep()
    with counted(loaded) as each:
        passes = naive(loaded, encoded, some)
    if not torch.equal(swept, passes):
        raise RuntimeError(f"{group}: the sweep and the passes differ")
    promised = len(each) / len(once)
    times = interleaved(
        {"sweep": timed(sweep), "passes": timed(lambda: naive(loaded, encoded, some))}, rounds
    )
    ups = [b.wall / a.wall for a, b in zip(times["sweep"], times["passes"], strict=True)]
    cpus = median(b.cpu / a.cpu for a, b in zip(times["sweep"], times["passes"], strict=True))
    what = f"speed-up over a pass for each arm (counted: {promised:.2f})"
    page.lines.append(of_values(group, what, ups, ("x", None), cpus))
    share = [up / promised for up in ups]
    page.lines.append(of_values(group, "measured / counted", share, ("x", BAR), cpus / promised))
    page.notes.append(
        f"{group}: {len(once)} block calls against {len(each)}; the states are equal bit for bit."
    )


if __name__ == "__main__":
    chosen = setting.options(__doc__)
    measure(chosen).write(chosen.out)
