"""Claim rows: what does a claim say of the numbers of several trainings?"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Literal

ABSENT = "·"
NAMED = 5  # crossings that are named

Metrics = Mapping[str, float]
Pick = Literal["each", "lowest", "highest"]


@dataclass(frozen=True)
class Claim:
    """One number; a `*` in its metric stands for a model, which `{model}` in the words names."""

    words: str
    metric: str
    planted: str
    form: str = "+.2f"
    pick: Pick = "each"
    tested: bool = True  # whether 0 means nothing there, so that it can hold

    def names(self, metrics: Metrics) -> list[str]:
        """The metrics that it reads, one of each model that has it."""
        found = self._matching(metrics)
        if self.pick != "each" and found:
            end = min if self.pick == "lowest" else max
            return [end(found, key=lambda n: metrics[n])]
        return found

    def models(self, metrics: Metrics) -> set[str]:
        """The models that have its metric."""
        if "*" not in self.metric:
            return set()
        place = self.metric.split("/").index("*")
        return {n.split("/")[place] for n in self._matching(metrics)}

    def _matching(self, metrics: Metrics) -> list[str]:
        depth = self.metric.count("/")
        return [n for n in metrics if n.count("/") == depth and fnmatchcase(n, self.metric)]

    def rows(self, metrics: Metrics) -> Iterator[Row]:
        """A row of each metric; one that says so where there is none."""
        place = self.metric.split("/").index("*") if "*" in self.metric else None
        names = self.names(metrics)
        for name in names:
            model = "" if place is None else name.split("/")[place]
            held = _held(name, metrics) if self.tested else ABSENT
            figure = _figure(name, metrics, self.form)
            yield Row(self.words.format(model=model), figure, held, self.planted)
        if not names:
            words = self.words.removesuffix(": {model}")
            yield Row(words, "no number: at a floor, or too few models", ABSENT, self.planted)


@dataclass(frozen=True)
class Count:
    """How many lines of the board refuse beyond every family of nulls at an allowed price."""

    words: str
    phase: str
    crossed: bool
    planted: str

    def lines(self, metrics: Metrics) -> dict[str, int]:
        """In how many trainings each line holds, by its name on the board."""
        head, end = f"{self.phase}/board/", "_held"
        found = {
            n[len(head) : -len(end)]: int(v)
            for n, v in metrics.items()
            if n.startswith(head) and n.endswith(end)
        }
        return {n: k for n, k in found.items() if (n.split("/")[1] != "own") == self.crossed}

    def rows(self, metrics: Metrics) -> Iterator[Row]:
        """The count; of crossings that hold in all trainings also each, the first ones by gap."""
        lines, trainings = self.lines(metrics), int(metrics["trainings"])
        every = [n for n, k in lines.items() if k == trainings]
        some = sum(k > 0 for k in lines.values())
        held = f"{len(every)} in all {trainings}, {some} in some"
        yield Row(self.words, f"of {len(lines)} lines", held, self.planted)
        if not self.crossed:
            return
        whole = {n: f"{self.phase}/board/{n}" for n in every}
        for line in sorted(every, key=lambda n: (-metrics[whole[n]], n))[:NAMED]:
            target, source, by = line.split("/")[:3]
            words = f"the same line by line: {source} into {target} by `{by}`, gap over the nulls"
            figure = _figure(whole[line], metrics, "+.2f")
            yield Row(words, figure, _held(whole[line], metrics), self.planted)


@dataclass(frozen=True)
class Row:
    """A line of the table."""

    claim: str
    figure: str
    held: str
    planted: str


def _text(value: float, form: str) -> str:
    """A number as the pages write it."""
    found = format(value, form)
    if not found.strip("+-0."):
        found = found.lstrip("+-")  # a rounded 0 has no sign
    return found.replace("-", "\u2212")


def _figure(name: str, metrics: Metrics, form: str) -> str:
    """The mean over trainings with its interval between them."""
    ends = [metrics.get(f"{name}{end}") for end in ("_low", "_high")]
    found = _text(metrics[name], form)
    low, high = ends
    if low is None or high is None:
        found += " (the same in all)"
    else:
        found += f" [{_text(low, form)}, {_text(high, form)}]"
    fewer = metrics.get(f"{name}_trainings")
    return found if fewer is None else f"{found}, of {fewer:.0f} trainings that have it"


def _held(name: str, metrics: Metrics) -> str:
    held = metrics.get(f"{name}_held")
    return ABSENT if held is None else f"{held:.0f} of {metrics['trainings']:.0f}"
