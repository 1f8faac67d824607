"""Memory: how much does reading all blocks take above running them?

Each way runs in a fresh process that has read a few texts in that way before, all ways in turn,
round by round; what counts is the highest resident memory while it runs, less what was resident
when it began.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

from benchmarks.speed import setting
from benchmarks.speed.peer_server import WAYS as PEERS
from benchmarks.speed.peer_server import peak as peak_of
from benchmarks.speed.peers import peers, save_job
from benchmarks.speed.timing import Bar, Page, absent, of_values
from benchmarks.speed.ways import LIMIT, WAYS

BAR = Bar("<=", 2.0)
MIB = 1 << 20
SIZE = setting.Size(16, 384, 200, 24)


def measure(options: setting.Options) -> Page:
    """Ratios of the memory that each way adds to the memory that the blocks alone add."""
    page = Page("memory", str(__doc__), setting.machine(options))
    size = options.sizes[0] if options.tiny else SIZE
    loaded = setting.model(size.layers, size.width, options.texts)
    texts = setting.texts_of(options.texts, size.texts, size.longest)
    found: dict[tuple[bool, str], list[int]] = defaultdict(list)
    with TemporaryDirectory() as folder:
        save_job(Path(folder), loaded, texts, setting.encoded(loaded, texts))
        for _ in range(options.rounds):
            for name in WAYS:
                found[False, name].append(_ours(name, options, size))
            for name in PEERS if options.peers else ():
                found[True, name].append(_theirs(name, str(options.peers), Path(folder)))
    _put(page, f"{size}", found)
    if options.peers is None:
        why = "no environment with the peers was given (--peers)"
        page.lines.append(absent(f"{size}", "steering-vectors, repeng, nnsight", why))
    return page


def _put(page: Page, group: str, found: Mapping[tuple[bool, str], Sequence[int]]) -> None:
    """Each way over the blocks alone in its own environment, round by round."""
    for (peer, name), values in found.items():
        limit = found[peer, LIMIT]
        if name == LIMIT:
            where = "in the peers' environment the blocks" if peer else "the blocks"
            page.notes.append(
                f"{group}: {where} alone add {median(limit) / MIB:.1f} MiB "
                f"[{min(limit) / MIB:.1f}, {max(limit) / MIB:.1f}]."
            )
            continue
        ratios = [a / b for a, b in zip(values, limit, strict=True)]
        bar = BAR if name == "ours" else None
        page.lines.append(of_values(group, name, ratios, ("x", bar)))


def _ours(name: str, options: setting.Options, size: setting.Size) -> int:
    """Bytes that a way of this package or of transformers adds in a process of its own."""
    command = [sys.executable, "-m", "benchmarks.speed.memory"]
    shape = [size.layers, size.width, size.texts, size.longest]
    job = json.dumps([name, options.texts, shape])
    done = subprocess.run([*command, job], capture_output=True, text=True, check=True)
    return int(done.stdout.splitlines()[-1])


def _theirs(name: str, python: str, folder: Path) -> int:
    """Bytes that a peer's way adds in a process of its own."""
    with peers(python, folder, warm=name) as other:
        return int(other.ask({"peak": name})["peak"])


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
