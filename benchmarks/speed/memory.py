"""How much memory does reading all blocks take above running them?

Each way runs in a fresh process that has read a few texts before; what counts is the highest
resident memory while it runs, less what was resident when it began.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

from benchmarks.speed import setting
from benchmarks.speed.peer_server import peak as peak_of
from benchmarks.speed.peers import peers, save_job
from benchmarks.speed.timing import Bar, Page, absent, of_values
from benchmarks.speed.ways import LIMIT, WAYS

BAR = Bar("<=", 2.0)
MIB = 1 << 20
TIMES = 2  # processes for each way of ours
SIZE = setting.Size(16, 384, 200, 24)


def measure(options: setting.Options) -> Page:
    """Ratios of the memory that each way adds to the memory that the blocks alone add."""
    page = Page("memory", str(__doc__), setting.machine())
    size = options.sizes[0] if options.tiny else SIZE
    group = f"{size}"
    limits, found = _ours(options, size)
    bare = median(limits)
    for name, values in found.items():
        bar = BAR if name == "ours" else None
        page.lines.append(of_values(group, name, [v / bare for v in values], ("x", bar)))
    page.notes.append(
        f"{group}: the blocks alone add {bare / MIB:.1f} MiB "
        f"[{min(limits) / MIB:.1f}, {max(limits) / MIB:.1f}] over {TIMES} processes."
    )
    if options.peers is None:
        why = "no environment with the peers was given (--peers)"
        page.lines.append(absent(group, "steering-vectors, repeng, nnsight", why))
        return page
    theirs = _theirs(options, size)
    other = theirs.pop(LIMIT)
    for name, value in theirs.items():
        page.lines.append(of_values(group, name, [value / other], ("x", None)))
    page.notes.append(f"{group}: in the peers' environment they add {other / MIB:.1f} MiB.")
    return page


def _ours(options: setting.Options, size: setting.Size) -> tuple[list[int], dict[str, list[int]]]:
    found: dict[str, list[int]] = {name: [] for name in WAYS}
    for _ in range(1 if options.tiny else TIMES):
        for name in WAYS:
            command = [sys.executable, "-m", "benchmarks.speed.memory"]
            shape = [size.layers, size.width, size.texts, size.longest]
            job = json.dumps([name, options.texts, shape])
            done = subprocess.run([*command, job], capture_output=True, text=True, check=True)
            found[name].append(int(done.stdout.splitlines()[-1]))
    return found.pop(LIMIT), found


def _theirs(options: setting.Options, size: setting.Size) -> dict[str, int]:
    assert options.peers is not None
    loaded = setting.model(size.layers, size.width, options.texts)
    texts = setting.texts_of(options.texts, size.texts, size.longest)
    found: dict[str, int] = {}
    with TemporaryDirectory() as folder:
        save_job(Path(folder), loaded, texts, setting.encoded(loaded, texts))
        names = [LIMIT]
        while names:
            with peers(options.peers, Path(folder)) as other:
                name = names.pop(0)
                found[name] = int(other.ask({"peak": name})["peak"])
                if name == LIMIT:
                    names = [n for n in other.names if n != LIMIT]
    return found


def one(argument: str) -> int:
    """Bytes that one way adds, measured in this process."""
    name, source, shape = json.loads(argument)
    size = setting.Size(*shape)
    loaded = setting.model(size.layers, size.width, source)
    texts = setting.texts_of(source, size.texts, size.longest)
    order = sorted(texts, key=len)
    WAYS[name](loaded, order[:2])()
    run = WAYS[name](loaded, texts)
    return peak_of(lambda _: run(), None)  # type: ignore[arg-type]


if __name__ == "__main__":
    if len(sys.argv) == 2 and sys.argv[1].startswith("["):
        print(one(sys.argv[1]))
    else:
        chosen = setting.options(__doc__)
        measure(chosen).write(chosen.out)
