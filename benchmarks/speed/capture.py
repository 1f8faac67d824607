"""Capture: what does reading the pooled states of all blocks cost over running them at all?"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

from benchmarks.speed import setting
from benchmarks.speed.peers import Peers, peers, save_job
from benchmarks.speed.timing import Bar, Page, Way, absent, interleaved, ratio, timed
from benchmarks.speed.ways import LIMIT, WAYS
from mahals.models.activations.batching import batches
from mahals.models.checkpoints.checkpoint import Loaded

BAR = Bar("<=", 1.10)
SHORT_S = 2  # of a round in which the machine's own wavering would be what is measured
MORE = 4  # times as many rounds of ours and the limit where theirs are as short
PEERS_LIMIT = "blocks alone, in the peers' environment"


def measure(options: setting.Options) -> Page:
    """All ways at every size, against the blocks alone."""
    page = Page("capture", str(__doc__), setting.machine(options))
    for size in options.sizes:
        loaded = setting.model(size.layers, size.width, options.texts)
        texts = setting.texts_of(options.texts, size.texts, size.longest)
        with TemporaryDirectory() as folder, ExitStack() as stack:
            other: Peers | None = None
            if options.peers is not None:
                save_job(Path(folder), loaded, texts, setting.encoded(loaded, texts))
                other = stack.enter_context(peers(options.peers, Path(folder)))
                page.setting.update({f"peers' {k}": v for k, v in other.versions.items()})
            _size(page, (str(size), loaded, texts), other, options.rounds)
    return page


def _size(
    page: Page, job: tuple[str, Loaded, Sequence[str]], other: Peers | None, rounds: int
) -> None:
    group, loaded, texts = job
    for ready in WAYS.values():
        ready(loaded, texts[:4])()  # what a first call alone pays for
    ways: dict[str, Way] = {n: timed(ready(loaded, texts)) for n, ready in WAYS.items()}
    theirs = {name: other.way(name) for name in other.names} if other else {}
    named = {PEERS_LIMIT if name == LIMIT else name: way for name, way in theirs.items()}
    times = interleaved({**ways, **named}, rounds)
    pair = {name: times[name] for name in ("ours", LIMIT)}
    if median(t.wall for t in times[LIMIT]) < SHORT_S:
        more = interleaved({name: ways[name] for name in pair}, (MORE - 1) * rounds)
        pair = {name: [*pair[name], *more[name]] for name in pair}
    page.lines.append(ratio(group, "ours", (pair["ours"], pair[LIMIT]), BAR))
    for name in ways:
        if name not in ("ours", LIMIT):
            page.lines.append(ratio(group, name, (times[name], times[LIMIT]), None))
    for name in named:
        if name != PEERS_LIMIT:
            page.lines.append(ratio(group, name, (times[name], times[PEERS_LIMIT]), None))
    if other is None:
        why = "no environment with the peers was given (--peers)"
        page.lines.append(absent(group, "steering-vectors, repeng, nnsight", why))
    _note(page, job, [t.cpu for t in times[LIMIT]])


def _note(page: Page, job: tuple[str, Loaded, Sequence[str]], limit: Sequence[float]) -> None:
    group, loaded, texts = job
    made = batches(loaded, setting.encoded(loaded, texts))
    real = sum(int(b.mask.sum()) for b in made)
    padded = sum(b.ids.numel() for b in made)
    d, head = loaded.width, loaded.model.get_output_embeddings().weight.numel()
    blocks = sum(p.numel() for p in loaded.model.base_model.parameters()) - head
    page.notes.append(
        f"{group}: {real} tokens in {len(made)} batches, padded / real {padded / real:.3f}; width "
        f"{d}, LM head weights / block weights {head / blocks:.2f}; blocks alone "
        f"{min(limit):.2f} s of processor time."
    )


if __name__ == "__main__":
    chosen = setting.options(__doc__)
    measure(chosen).write(chosen.out)
