"""Speed report: what does benchmarks/SPEED.md say of the stored measurements?"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path

from benchmarks.speed.timing import Line, Page, read_page

SCRIPTS: dict[str, str] = {
    "capture": "Reading states",
    "memory": "Memory of reading states",
    "sweep": "Sweeps",
    "generation": "Generation",
    "resampling": "Resampling",
    "sae": "SAE encode and clamp",
    "rows": "Rows, runs, leaderboard",
    "cold_start": "Cold start",
    "growth": "How cost grows",
    "bf16": "bfloat16 on the CPU",
    "study": "The whole study",
    "gpu": "On a GPU",
}
"""The scripts in the order of the page, with their headings."""

HEAD = """\
# Speed

Made by `make bench`; every number with brackets is a median over rounds in which all ways ran in
turn, with the lowest and the highest round (where a line says so, over blocks or runs). "Processor"
is the same ratio of processor time: where it differs much from the first number, other work took
the cores. Nothing here is a test: what can be counted instead of timed is in `tests/`. What was
tried and did not help: [NOTES](speed/NOTES.md).
"""
OWN = ("load average", "measured")  # of each script by itself, when it began
GPU = Path(__file__).resolve().parent / "gpu.json"
"""What was measured on a GPU last: shown where this machine has none."""
FIGURE = "![Cost over size, both on logarithmic axes](speed/growth.png)"


def markdown(pages: Sequence[Page], shared: str | None) -> str:
    """The whole page; `shared` says in words what else ran on the machine, if anything did."""
    found = {page.name: page for page in pages}
    parts = [HEAD]
    if shared:
        parts.append(f"**{shared}**\n")
    parts.append(_machine([p for p in pages if p.setting]))
    for name, heading in SCRIPTS.items():
        if name in found:
            parts.append("\n".join(_section(heading, found[name])))
        else:
            parts.append(f"## {heading}\n\nNot measured.\n")
    return "\n".join(parts)


def _machine(pages: Sequence[Page]) -> str:
    """What was measured on, and how busy the machine was at the start of each script."""
    here = [page for page in pages if "device" not in page.setting]
    if not here:
        return ""
    said: dict[str, str] = {}
    for page in here:
        said |= {k: v for k, v in page.setting.items() if k not in OWN}
    rows = [f"| {name} | {value} |" for name, value in said.items()]
    for name in OWN:
        each = "; ".join(f"{p.name} {p.setting[name]}" for p in here if name in p.setting)
        rows += [f"| {name} | {each} |"] if each else []
    return "\n".join(["| on | |", "|---|---|", *rows, ""])


def _section(heading: str, page: Page) -> Iterator[str]:
    yield f"## {heading}\n"
    yield f"{page.question.strip()}\n"
    if "device" in page.setting:  # another machine than the others'
        yield "On " + ", ".join(f"{k} {v}" for k, v in page.setting.items()) + ".\n"
    groups: dict[str, list[Line]] = defaultdict(list)
    for line in page.lines:
        groups[line.group].append(line)
    for group, lines in groups.items():
        measured = [line for line in lines if line.median is not None]
        if measured:
            yield f"| {group} | median [lowest, highest] | processor | rounds | bar | held |"
            yield "|---|---:|---:|---:|---|---|"
            yield from map(_row, measured)
            yield ""
        for line in lines:
            if line.median is None:
                yield f"Absent: {group}, {line.what}: {line.note}.\n"
    if page.name == "growth":
        yield f"{FIGURE}\n"
    for note in page.notes:
        yield f"* {note}"
    if page.notes:
        yield ""


def _row(line: Line) -> str:
    assert line.median is not None
    spread = "" if line.rounds < 2 else f" [{line.low:.3g}, {line.high:.3g}]"
    cpu = "" if line.cpu is None or line.cpu != line.cpu else f"{line.cpu:.3g}"
    held = "" if line.holds is None else ("yes" if line.holds else "**no**")
    unit = f" {line.unit}" if line.unit else ""
    value = f"{line.median:.3g}{unit}{spread}"
    return f"| {line.what} | {value} | {cpu} | {line.rounds} | {line.bar} | {held} |"


def write(folder: Path, target: Path, shared: str | None) -> None:
    """Writes the page from the measurements stored in `folder`."""
    pages = [read_page(folder / f"{n}.json") for n in SCRIPTS if (folder / f"{n}.json").is_file()]
    pages = [read_page(GPU) if p.name == "gpu" and "device" not in p.setting else p for p in pages]
    target.write_text(markdown(pages, shared), encoding="utf-8")
