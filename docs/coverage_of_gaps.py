"""Gaps of rates: how often do their 95 % intervals hold the truth, and is a null arm found unlike?

`python -m docs.coverage_of_gaps` simulates again, writes docs/studies/coverage_of_gaps.csv and
prints the table that docs/method.md shows.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from scipy import special

from mahals.maths.stats.controls import gap_over_random
from mahals.maths.stats.rates import Adjusted, gap_of

TABLE = Path(__file__).resolve().parent / "studies" / "coverage_of_gaps.csv"
REPETITIONS, NULLS = 2000, 20
COUNTS = (20, 42, 200)  # prompts of a label; 42 is the suite's default
Rates = tuple[float, float]  # of refusal, on unsafe and on safe prompts

ARMS: tuple[Rates, ...] = ((0.5, 0.05), (0.95, 0.02), (1.0, 0.0))
PAIRS: tuple[tuple[Rates, Rates], ...] = (
    ((0.5, 0.05), (0.3, 0.05)),
    ((0.95, 0.02), (0.95, 0.02)),
    ((1.0, 0.0), (0.97, 0.0)),
    ((1.0, 0.0), (0.0, 0.0)),
)
FAMILIES: tuple[tuple[float, float], ...] = ((0.0, 0.0), (0.02, 0.0), (0.1, 0.05), (0.3, 0.2))
"""Mean and standard deviation over null arms of the rate at which one refuses unsafe prompts."""


@dataclass(frozen=True)
class Cell:
    """Shares of 2,000 repetitions."""

    what: str  # arm | pair | null
    truth: str
    n: int
    share: float  # of intervals that hold the truth; null: whose lower end is above 0
    jackknife: float  # the same of the textbook's interval; null: that refuse more than all others


def drawn(rates: Rates, safe: np.ndarray, luck: np.ndarray) -> np.ndarray:
    """What is refused, (m,): each prompt by its own luck in [0, 1)."""
    return np.asarray(luck < np.where(safe, rates[1], rates[0]), dtype=np.float64)


def held(found: Adjusted, truth: float) -> bool:
    """Whether the interval holds it, to rounding."""
    span = found.interval()
    return bool(span.low - 1e-9 <= truth <= span.high + 1e-9)


def jackknife_holds(values: np.ndarray, safe: np.ndarray, truth: float) -> bool:
    """The same of the textbook's interval, s^2 / n of both labels."""
    sides = values[~safe], values[safe]
    error = float(np.sqrt(sum(s.var(ddof=1) / len(s) for s in sides)))
    half = float(special.stdtrit(len(values) - 1, 0.975)) * error
    return bool(abs(float(sides[0].mean() - sides[1].mean()) - truth) <= half + 1e-9)


def _labels(n: int) -> np.ndarray:
    return np.asarray(np.arange(2 * n) % 2 == 1)


def arm(rates: Rates, n: int, repetitions: int) -> Cell:
    """The gap of one arm."""
    rng, safe, truth = np.random.default_rng([1, n]), _labels(n), rates[0] - rates[1]
    both = np.zeros(2)
    for _ in range(repetitions):
        values = drawn(rates, safe, rng.random(2 * n))
        both += (
            held(gap_of(values, safe, None, paired=False), truth),
            jackknife_holds(values, safe, truth),
        )
    return Cell("arm", f"{rates[0]:g} / {rates[1]:g}", n, *(both / repetitions))


def pair(one: Rates, other: Rates, n: int, repetitions: int) -> Cell:
    """The gap of an arm less that of another on the same prompts, of which half are hard alike."""
    rng, safe = np.random.default_rng([2, n]), _labels(n)
    truth = (one[0] - one[1]) - (other[0] - other[1])
    both = np.zeros(2)
    for _ in range(repetitions):
        luck, own = rng.random(2 * n), rng.random(2 * n)
        alike = rng.random(2 * n) < 0.5
        values = drawn(one, safe, luck) - drawn(other, safe, np.where(alike, luck, own))
        both += (
            held(gap_of(values, safe, None, paired=True), truth),
            jackknife_holds(values, safe, truth),
        )
    words = f"{one[0]:g} / {one[1]:g} less {other[0]:g} / {other[1]:g}"
    return Cell("pair", words, n, *(both / repetitions))


def null(mean: float, spread: float, n: int, repetitions: int) -> Cell:
    """A null arm judged against others of its family: how often is it found to refuse more?"""
    rng, safe = np.random.default_rng([3, n]), _labels(n)
    above = np.zeros(2)
    for _ in range(repetitions):
        rates = np.clip(rng.normal(mean, spread, NULLS + 1), 0, 1)
        luck = rng.random(2 * n)
        arms = np.stack([drawn((rate, 0.0), safe, luck) for rate in rates])
        found = gap_over_random(arms[0], arms[1:], safe, None)
        assert found is not None
        above += found.interval.low > 0, arms[0][~safe].mean() > arms[1:][:, ~safe].mean(1).max()
    return Cell("null", f"{mean:g} ± {spread:g}", n, *(above / repetitions))


def measure(repetitions: int) -> Iterator[Cell]:
    """The whole grid."""
    for n in COUNTS:
        yield from (arm(rates, n, repetitions) for rates in ARMS)
        yield from (pair(*two, n, repetitions) for two in PAIRS)
        yield from (null(*family, n, repetitions) for family in FAMILIES)


def write(path: Path, rows: list[Cell]) -> None:
    """`rows` as a table with a header."""
    with path.open("w", newline="", encoding="utf-8") as file:
        table = csv.DictWriter(file, list(asdict(rows[0])), lineterminator="\n")
        table.writeheader()
        table.writerows(asdict(row) for row in rows)


def read(path: Path) -> list[Cell]:
    """The table that `write` wrote."""
    with path.open(encoding="utf-8") as file:
        return [
            Cell(r["what"], r["truth"], int(r["n"]), float(r["share"]), float(r["jackknife"]))
            for r in csv.DictReader(file)
        ]


WORDS = {"arm": "an arm: {}", "pair": "one less another: {}", "null": "null arms: {}"}


def _cell(row: Cell) -> str:
    shown = (row.share,) if row.what == "null" else (row.share, row.jackknife)
    return " / ".join(f"{v:.3f}".removeprefix("0") for v in shown)


def table() -> str:
    """The stored numbers as lines of Markdown."""
    found: dict[str, list[str]] = {}
    for row in read(TABLE):
        found.setdefault(WORDS[row.what].format(row.truth), []).append(_cell(row))
    head = "| truth | " + " | ".join(f"{n} a label" for n in COUNTS) + " |"
    lines = [head, "|---|" + "---:|" * len(COUNTS)]
    return "\n".join([*lines, *(f"| {w} | " + " | ".join(c) + " |" for w, c in found.items())])


def main() -> None:
    """Simulates, stores, prints."""
    write(TABLE, list(measure(REPETITIONS)))
    print(table())


if __name__ == "__main__":
    main()
