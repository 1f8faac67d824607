"""Report page: how do all sentences of a unit stand on one page, with its figures?"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence

from mahals.harness.workspace.provenance import Provenance

GENERAL = "All models together"
MOVED = re.compile(r"^(\S+) -> (\S+?)[,:]? ")  # "source -> target by ...": of the target


def report_page(
    title: str, question: str, of: Provenance, lines: Sequence[str], figures: Mapping[str, object]
) -> str:
    """Every sentence, grouped by the model it is of, in Markdown.

    `figures` has the names of the files in figures/. The same sentences give the same bytes.
    """
    parts = [
        f"# {title}",
        "",
        question,
        "",
        f"Of: {of.line}. Numbers: `metrics.json`; how they were made: `run.json`.",
        "Generated from stored rows; not to be edited.",
    ]
    groups = grouped(lines, of.models)
    for name, sentences in groups.items():
        parts += ["", f"## {name}", ""]
        parts += [f"* {_plain(sentence)}" for sentence in sentences]
    if not groups:
        parts += ["", "Nothing was said of these rows."]
    parts += _pictures(figures)
    return "\n".join(parts) + "\n"


def grouped(lines: Iterable[str], models: Sequence[str]) -> dict[str, list[str]]:
    """Sentences by the model they begin with, in the order of `models`; those of none first.

    A sentence on what crossed from a source to a target is the target's.
    """
    found: dict[str, list[str]] = {name: [] for name in (GENERAL, *models)}
    for line in lines:
        moved = MOVED.match(line)
        first = moved[2] if moved else re.split(r"[\s:,]", line, maxsplit=1)[0]
        found[first if first in models else GENERAL].append(line)
    return {name: sentences for name, sentences in found.items() if sentences}


def _pictures(files: Iterable[str]) -> list[str]:
    """Each figure as its PNG, with links to its other forms."""
    forms: dict[str, list[str]] = {}
    for file in sorted(files):
        forms.setdefault(file.rpartition(".")[0], []).append(file)
    parts = ["", "## Figures"] if forms else []
    for name, found in forms.items():
        links = " ".join(f"[{f.rpartition('.')[2].upper()}](figures/{f})" for f in found)
        parts += ["", f"{name}: {links}"]
        parts += ["", f"![{name}](figures/{name}.png)"] if f"{name}.png" in found else []
    return parts


def _plain(sentence: str) -> str:
    """A sentence of which Markdown makes no tag."""
    return " ".join(sentence.split("\n")).replace("<", "\\<")
