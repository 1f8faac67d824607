"""Sweep: how much faster is one over strengths and vectors than a pass for each configuration?

The bar compares the measured speed-up with the one that counting block calls promises. Other
libraries make a pass for each configuration.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

import torch

from benchmarks.speed import setting
from benchmarks.speed.peers import Peers, peers, save_arms, save_job
from benchmarks.speed.timing import Bar, Page, Times, absent, interleaved, of_values, timed
from mahals.models.activations.batching import batches, model_inputs
from mahals.models.activations.capture import capture
from mahals.models.activations.encoding import Encoded
from mahals.models.checkpoints.blocks import decoder_blocks
from mahals.models.checkpoints.checkpoint import Loaded
from mahals.models.steering.hooks import steered
from mahals.models.steering.interventions import Arm, Intervention
from mahals.models.steering.replay import capture_arms

BAR = Bar(">=", 0.85)
STRENGTHS = (0.0, 0.25, 0.5, 0.75, 1.0)
FEW = len(STRENGTHS)  # of the arms, in the peers' passes; their time counts len(arms) / FEW times
CLOSE = 1e-3  # of a state's components, between two versions of transformers
CASES = ((16, 768, 2, 50), (32, 256, 7, 100))
"""Blocks, width, vectors, texts; the vectors steer the last five blocks."""


def arms(layers: int, width: int, vectors: int) -> list[Arm]:
    """`vectors` random vectors at every strength, each along the last five blocks."""
    made = []
    for v in range(vectors):
        rows = torch.randn(layers, width, generator=torch.Generator().manual_seed(v))
        for x in STRENGTHS:
            steps = tuple(Intervention(b, rows[b], x, "add") for b in range(layers - 5, layers))
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
        texts = setting.texts_of(options.texts, count, 24)
        encoded = setting.encoded(loaded, texts)
        some = arms(layers, width, vectors)
        with TemporaryDirectory() as folder, ExitStack() as stack:
            other: Peers | None = None
            if options.peers is not None:
                save_job(Path(folder), loaded, texts, encoded)
                save_arms(Path(folder), some[:FEW])
                other = stack.enter_context(peers(options.peers, Path(folder), "sweep"))
                page.setting.update({f"peers' {k}": v for k, v in other.versions.items()})
            _case(page, (loaded, encoded, some), other, options.rounds)
    return page


def _same(job: tuple[Loaded, Sequence[Encoded], Sequence[Arm]], other: Peers, name: str) -> None:
    """Raises if a peer's arms leave other mean states than ours do."""
    loaded, encoded, some = job
    tokens = sum(len(e.ids) for e in encoded)
    found = torch.zeros(FEW, loaded.width)
    for a, arm in enumerate(some[:FEW]):
        for batch in batches(loaded, encoded):
            rows = [0] * len(batch.rows)
            with torch.inference_mode(), steered(loaded.model, [arm], rows):
                out = loaded.model.base_model(**model_inputs(loaded, batch), use_cache=False)
            found[a] += (out.last_hidden_state * batch.mask[..., None]).sum((0, 1)) / tokens
    theirs = torch.tensor(other.shown(name))
    if not torch.allclose(found, theirs, rtol=0, atol=CLOSE):
        apart = float((found - theirs).abs().max())
        raise RuntimeError(f"{name}: mean states {apart:.2g} from ours")


def _case(
    page: Page,
    job: tuple[Loaded, Sequence[Encoded], Sequence[Arm]],
    other: Peers | None,
    rounds: int,
) -> None:
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
    ways = {"sweep": timed(sweep), "passes": timed(lambda: naive(loaded, encoded, some))}
    if other is not None:
        for name in other.names:
            _same(job, other, name)
            ways[name] = other.way(name)
    times = interleaved(ways, rounds)
    _put(page, group, times, len(each) / len(once))
    page.notes.append(
        f"{group}: {len(once)} block calls against {len(each)}; the states are equal bit for bit."
    )
    _others(page, (group, len(some)), times, other)


def _others(page: Page, job: tuple[str, int], times: Times, other: Peers | None) -> None:
    """What other libraries take for all arms, over our sweep."""
    group, count = job
    if other is None:
        why = "no environment with the peers was given (--peers)"
        page.lines.append(absent(group, "steering-vectors, repeng", why))
        return
    for name in other.names:
        pairs = list(zip(times[name], times["sweep"], strict=True))
        walls = [count / FEW * a.wall / b.wall for a, b in pairs]
        cpu = median(count / FEW * a.cpu / b.cpu for a, b in pairs)
        page.lines.append(of_values(group, f"{name} / our sweep", walls, ("x", None), cpu))
    page.notes.append(
        f"{group}: other libraries pass for {FEW} arms in a round, without the LM head, on our "
        f"sorted batches; that counts {count / FEW:g} times. They leave the same mean states."
    )


def _put(page: Page, group: str, times: Times, promised: float) -> None:
    """The speed-up over a pass for each arm, and its share of the one that was counted."""
    ups = [b.wall / a.wall for a, b in zip(times["sweep"], times["passes"], strict=True)]
    cpus = median(b.cpu / a.cpu for a, b in zip(times["sweep"], times["passes"], strict=True))
    what = f"speed-up over a pass for each arm (counted: {promised:.2f})"
    page.lines.append(of_values(group, what, ups, ("x", None), cpus))
    share = [up / promised for up in ups]
    page.lines.append(of_values(group, "measured / counted", share, ("x", BAR), cpus / promised))


if __name__ == "__main__":
    chosen = setting.options(__doc__)
    measure(chosen).write(chosen.out)
