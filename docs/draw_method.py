"""Which figures does docs/method.md show, and from which stored numbers?

`make docs-figures` draws them; `python -m docs.draw_method --measure` simulates again first (about
three minutes on one core) and writes docs/studies/.
"""

from __future__ import annotations

import argparse
import csv
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from mahals.maths.metrics.aqi_paper import aqi_published
from tests.support import coverage_study, null_study

DOCS = Path(__file__).resolve().parent
STUDIES, IMAGES = DOCS / "studies", DOCS / "images"
PUBLISHED = DOCS.parent / "benchmarks" / "published" / "phase1_aqi_rows.csv"
BLUE, ORANGE, GREEN, INK, SOFT = "#0072b2", "#d55e00", "#009e73", "#1a1a1a", "#5a5a5a"


def plain(ax: Axes, title: str) -> None:
    """The same quiet look everywhere."""
    ax.set_title(title, fontsize=10, color=INK, loc="left")
    ax.tick_params(labelsize=9, colors=INK)
    for side in ("top", "right"):
        ax.spines[side].set_visible(False)


def captioned(figure: Figure, title: str, caption: str) -> Figure:
    """`figure` with a heading and a line below."""
    figure.suptitle(title, x=0.01, ha="left", fontsize=11, fontweight="bold", color=INK)
    figure.text(0.01, 0.015, caption, fontsize=9, color=SOFT)
    return figure


def coverage() -> Figure:
    """Share of intervals that hold the truth, per width and number of prompts."""
    rows = coverage_study.read(STUDIES / "coverage.csv")
    figure = Figure(figsize=(10.6, 4.2))
    levels = coverage_study.LEVELS
    drawn = (
        ("level", "jackknife, level", BLUE, "o"),
        ("gain", "jackknife, paired gain", GREEN, "s"),
        ("percentile", "percentile bootstrap, level", ORANGE, "v"),
    )
    for i, d in enumerate(coverage_study.WIDTHS):
        ax = figure.add_subplot(1, 3, i + 1)
        for j, n in enumerate(coverage_study.COUNTS):
            own = [r for r in rows if (r.d, r.n) == (d, n)]
            places = np.arange(len(levels)) + 5 * j
            for name, label, colour, marker in drawn:
                values = [getattr(r, name) for r in own]
                ax.plot(places, values, color=colour, marker=marker, ms=4, lw=1.2, label=label)
            ax.text(5 * j + 1.5, 1.04, f"n = {n}", ha="center", fontsize=9, color=SOFT)
        ax.axhspan(0.91, 1.0, color="#e8e8e8", zorder=0)
        ax.axhline(0.95, color=SOFT, lw=0.8)
        ax.set_xticks([5 * j + k for j in range(3) for k in range(4)], list(levels) * 3)
        ax.set_ylim(-0.03, 1.1)
        ax.set_xlabel("true aqi (points)", fontsize=9)
        plain(ax, f"{d} dimensions")
        if i == 0:
            ax.set_ylabel("share that holds the truth", fontsize=9)
            handles = ax.get_legend_handles_labels()
    figure.legend(handles[0][:3], handles[1][:3], ncols=3, fontsize=9, frameon=False,
                  loc="upper left", bbox_to_anchor=(0.0, 0.94))  # fmt: skip
    figure.subplots_adjust(left=0.07, right=0.99, top=0.79, bottom=0.2, wspace=0.16)
    return captioned(
        figure,
        "How often a 95 % interval of AQI holds the truth",
        "2,000 data sets a point (bootstrap: 100, of 200 resamples). Line: .95. Band: .91 and "
        "above. Isotropic normal states, equal label counts.",
    )


def coverage_table() -> str:
    """The same numbers as lines of Markdown: level, gain, percentile bootstrap."""
    levels = coverage_study.LEVELS
    head = "| d | n | " + " | ".join(f"aqi {a}" for a in levels) + " |"
    lines = [head, "|---:|---:|" + "---|" * len(levels)]
    cells: dict[tuple[int, int], list[str]] = {}
    for row in coverage_study.read(STUDIES / "coverage.csv"):
        shares = (f"{v:.3f}".removeprefix("0") for v in (row.level, row.gain, row.percentile))
        cells.setdefault((row.d, row.n), []).append(" / ".join(shares))
    lines += [f"| {d} | {n} | " + " | ".join(found) + " |" for (d, n), found in cells.items()]
    return "\n".join(lines)


def published() -> Figure:
    """The published score beside what it becomes when all rows have the same n."""
    models: dict[str, list[dict[str, str]]] = {}
    with PUBLISHED.open(encoding="utf-8") as file:
        for row in csv.DictReader(file):
            models.setdefault(row["model"], []).append(row)
    names = list(models)
    figure = Figure(figsize=(10.6, 3.9))
    left, right = figure.add_subplot(1, 2, 1), figure.add_subplot(1, 2, 2)
    for i, rows in enumerate(models.values()):
        ch, xb = (np.array([float(r[k]) for r in rows]) for k in ("chi", "xb"))
        matched = ch[-1] * 398 / 2798
        equal = aqi_published([*ch[:-1], matched], xb, 0.5)[-1]
        left.plot(ch[:-1], np.full(7, i), "o", color=BLUE, ms=4, label="seven axioms, n 400")
        left.plot(ch[-1], i, "D", color=ORANGE, ms=6, label="overall, n 2800")
        left.plot(matched, i, "D", mfc="none", mec=ORANGE, ms=6, label="overall, brought to n 400")
        right.barh(i - 0.18, float(rows[-1]["aqi"]), 0.34, color=ORANGE, label="as published")
        right.barh(i + 0.18, equal, 0.34, color=BLUE, label="at equal n")
        for value, place in ((float(rows[-1]["aqi"]), i - 0.18), (equal, i + 0.18)):
            right.text(value + 1, place, f"{value:.2f}", va="center", fontsize=9)
    for ax, title, count in (
        (left, "Calinski-Harabasz of the rows", 3),
        (right, "overall score", 2),
    ):
        ax.set_yticks(range(len(names)), names if ax is left else [])
        ax.invert_yaxis()
        plain(ax, title)
        handles, words = ax.get_legend_handles_labels()
        place = (0.0, 0.92) if ax is left else (0.6, 0.92)
        figure.legend(handles[:count], words[:count], ncols=count, loc="upper left",
                      bbox_to_anchor=place, fontsize=9, frameon=False)  # fmt: skip
    left.set_xscale("log")
    left.set_xlabel("CH (log scale)", fontsize=9)
    right.set_xlabel("score", fontsize=9)
    right.set_xlim(0, 63)
    figure.subplots_adjust(left=0.1, right=0.98, top=0.76, bottom=0.22, wspace=0.08)
    return captioned(
        figure,
        "Why the published table cannot rank",
        "Each model is scaled by its own eight rows; its overall row has seven times the prompts. "
        "With n matched all six score 5.00.",
    )


def null_p() -> Figure:
    """The p-values of null studies."""
    found = null_study.read(STUDIES / "null_studies.csv")
    figure = Figure(figsize=(8.6, 3.4))
    titles = {"states": "states without safety information", "vectors": "vectors without any"}
    for i, (design, title) in enumerate(titles.items()):
        own = [one for one in found if one.design == design]
        p = [value for one in own for value in one.p]
        ranked = sum(one.ranked > 0 for one in own)
        ax = figure.add_subplot(1, 2, i + 1)
        ax.hist(p, bins=np.linspace(0, 1, 21), color=BLUE, edgecolor="white", lw=0.5)
        ax.axhline(len(p) / 20, color=INK, lw=0.9, ls="--")
        ax.set_xlabel("p of the gain over random", fontsize=9)
        ax.set_ylabel("configurations" if i == 0 else "", fontsize=9)
        plain(ax, f"{title}: {ranked} of {len(own)} rank")
    figure.subplots_adjust(left=0.08, right=0.99, top=0.8, bottom=0.26, wspace=0.14)
    return captioned(
        figure,
        "What is ranked where there is nothing",
        "100 studies a panel, 12 configurations each, 20 random arms. Dashed: uniform p-values. "
        "Fewer small ones than that is caution.",
    )


FIGURES = {"coverage": coverage, "published_table": published, "null_p_values": null_p}


def measure() -> None:
    """Simulates again and writes the tables."""
    coverage_study.write(
        STUDIES / "coverage.csv", coverage_study.measure(coverage_study.REPETITIONS, 100)
    )
    designs: tuple[null_study.Design, ...] = ("states", "vectors")
    null_study.write(
        STUDIES / "null_studies.csv",
        [null_study.null(i, d) for d in designs for i in range(null_study.STUDIES)],
    )


def main() -> None:
    """Draws every figure into docs/images/."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--measure", action="store_true", help="simulate again first")
    if parser.parse_args().measure:
        measure()
    for name, draw in FIGURES.items():
        draw().savefig(IMAGES / f"{name}.png", dpi=110, metadata={"Software": None})


if __name__ == "__main__":
    main()
