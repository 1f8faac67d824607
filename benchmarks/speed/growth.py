"""Growth: how does cost rise with texts, tokens, blocks, vectors, models and configurations?

Each axis is doubled while the others stay; the exponent is the slope of log seconds over log size,
by least squares, round by round. The figure, growth.png beside this file, shows the medians.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

import torch
from matplotlib.figure import Figure

from benchmarks.speed import setting
from benchmarks.speed.sweep import arms
from benchmarks.speed.timing import Page, Times, interleaved, of_values, power, timed
from mahals.harness.leaderboard.ranking import rank
from mahals.models.activations.capture import capture
from mahals.models.activations.encoding import Encoded
from mahals.models.checkpoints.checkpoint import Loaded, load_checkpoint
from mahals.models.steering.replay import capture_arms
from tests.support import synthetic_results as synthetic

FIGURE = Path(__file__).with_name("growth.png")
WIDTH, BLOCKS, TEXTS, TOKENS = 256, 6, 16, 32
STEPS = (1, 2, 4, 8)
CONFIGURATIONS = 125
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9")

Axis = Mapping[int, Callable[[], object]]  # size -> work
AXES = {
    "texts": "texts read",
    "tokens": "tokens a text",
    "blocks": "blocks",
    "vectors": "vectors swept, 4 strengths each",
    "models": "models loaded and read",
    "configurations": "configurations ranked",
}


def encoded(count: int, length: int) -> list[Encoded]:
    """Texts of one length."""
    draw = torch.Generator().manual_seed(count)
    ids = torch.randint(3, setting.VOCABULARY, (count, length), generator=draw)
    return [Encoded(tuple(row), 0, length) for row in ids.tolist()]


def read(loaded: Loaded, count: int, length: int) -> Callable[[], object]:
    """Reading all blocks."""
    texts = encoded(count, length)
    return lambda: capture(loaded, texts, range(loaded.layers), "mean")


def swept(loaded: Loaded, vectors: int) -> Callable[[], object]:
    """A sweep of the last five blocks."""
    texts, some = encoded(TEXTS, TOKENS), arms(loaded.layers, loaded.width, vectors)
    return lambda: capture_arms(loaded, texts, some, [loaded.layers - 1], "mean")


def loads(folder: Path, count: int) -> Callable[[], object]:
    """Loading a checkpoint and reading it, `count` times."""
    texts = encoded(4, TOKENS)

    def run() -> None:
        for _ in range(count):
            one = load_checkpoint(
                folder, key="speed", role="base", weights="organism", revision=None
            )
            capture(one, texts, range(one.layers), "mean")

    return run


def ranks(count: int) -> Callable[[], object]:
    """Ranking a board."""
    entries = synthetic.board_entries(count)
    return lambda: rank(entries)


def axes(options: setting.Options, folder: Path) -> dict[str, Axis]:
    """Every axis with its four sizes."""
    base = setting.model(BLOCKS, WIDTH, options.texts)
    small = setting.model(BLOCKS, WIDTH // 2, options.texts)
    small.model.save_pretrained(folder)
    base.tokenizer.save_pretrained(folder)
    deep = {2 * k: setting.model(2 * k, WIDTH, options.texts) for k in STEPS}
    return {
        "texts": {TEXTS * k: read(base, TEXTS * k, TOKENS) for k in STEPS},
        "tokens": {TOKENS * k: read(base, 4, TOKENS * k) for k in STEPS},
        "blocks": {n: read(one, TEXTS, TOKENS) for n, one in deep.items()},
        "vectors": {k: swept(base, k) for k in STEPS},
        "models": {k: loads(folder, k) for k in STEPS},
        "configurations": {CONFIGURATIONS * k: ranks(CONFIGURATIONS * k) for k in STEPS},
    }


def measure(options: setting.Options) -> tuple[Page, Figure]:
    """The exponent of every axis, and the figure."""
    page = Page("growth", str(__doc__), setting.machine(options))
    figure = Figure(figsize=(7.2, 4.8), layout="constrained")
    with TemporaryDirectory() as folder:
        for colour, (name, axis) in zip(COLOURS, axes(options, Path(folder)).items(), strict=True):
            works = {str(size): timed(work) for size, work in axis.items()}
            for way in works.values():
                way()
            times = interleaved(works, options.rounds)
            _put(page, figure, (name, colour), times)
    _dress(figure)
    return page, figure


def _put(page: Page, figure: Figure, shown: tuple[str, str], times: Times) -> None:
    name, colour = shown
    sizes = [float(size) for size in times]
    rounds = range(len(next(iter(times.values()))))
    each = [power(sizes, [times[s][r].wall for s in times]) for r in rounds]
    middle = [median(t.wall for t in some) for some in times.values()]
    page.lines.append(of_values("exponent", AXES[name], each, ("", None)))
    page.notes.append(f"{AXES[name]}: {_seconds(sizes, middle)}.")
    ax = figure.gca()
    grown = [size / sizes[0] for size in sizes]
    costs = [cost / middle[0] for cost in middle]
    ax.loglog(grown, costs, "o-", color=colour, label=f"{AXES[name]}: {median(each):.2f}")


def _seconds(sizes: Sequence[float], costs: Sequence[float]) -> str:
    return ", ".join(f"{n:.0f} in {c:.3g} s" for n, c in zip(sizes, costs, strict=True))


def _dress(figure: Figure) -> None:
    ax = figure.gca()
    ax.loglog(STEPS, STEPS, "--", color="#5a5a5a", linewidth=1, label="in proportion: 1")
    ax.set_xlabel("size, over the smallest")
    ax.set_ylabel("seconds, over the smallest")
    ax.set_xticks(STEPS, [str(s) for s in STEPS])
    ax.set_yticks(STEPS, [str(s) for s in STEPS])
    ax.minorticks_off()
    ax.spines[["top", "right"]].set_visible(False)
    ax.legend(frameon=False, title="exponent")


if __name__ == "__main__":
    chosen = setting.options(__doc__)
    found, drawn = measure(chosen)
    found.write(chosen.out)
    chosen.out.mkdir(parents=True, exist_ok=True)
    drawn.savefig(chosen.out / FIGURE.name, dpi=150, metadata={"Software": None})
