"""Sheet: how does every figure look, and where do its title, legend, note and caption stand?

Figures are made from `matplotlib.figure.Figure` with an Agg canvas and explicit sizes on every
artist: no pyplot and no rcParams, so threads and worker processes do not disturb each other.
The title, the legend and the caption stand in bands of their own above and below the axes.
"""

from __future__ import annotations

import math
import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, Protocol

from mahals.records import InputError

if TYPE_CHECKING:
    from matplotlib.figure import Figure

TEXT = 9.0  # points at final size: nothing is smaller
TITLE = 11.0
LINE = 0.17  # inches that one line of TEXT takes
INK, SOFT, PALE = "#1a1a1a", "#5a5a5a", "#d9d9d9"
BASELINE = "#d55e00"  # the marked bar
COLOURS = (  # Okabe and Ito's colour-blind-safe set, its yellow replaced by grey
    "#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#1a1a1a", "#7f7f7f",
)  # fmt: skip
MARKERS = ("o", "s", "^", "D", "v", "P", "X")
STROKES = ("-", "--", "-.", ":")

Better = Literal["higher", "lower"]


@dataclass(frozen=True)
class Labels:
    """The words of a figure. `value` names the measured quantity with its unit."""

    title: str
    value: str
    caption: str  # n and the kind of interval, in one sentence or two
    better: Better | None = None  # which way is better, written on the value's axis
    other: str = ""  # the other axis with its unit

    def value_axis(self, vertical: bool) -> str:
        """The value's name with its unit, and an arrow towards what is better."""
        if self.better is None:
            return self.value
        note = {"higher": "higher is better \u2192", "lower": "\u2190 lower is better"}[self.better]
        return f"{self.value}\n{note}" if vertical else f"{self.value};  {note}"


class Bounded(Protocol):
    """What has a value and two ends, as an interval has."""

    @property
    def estimate(self) -> float: ...

    @property
    def low(self) -> float: ...

    @property
    def high(self) -> float: ...


class Span(NamedTuple):
    """A value and two ends."""

    estimate: float
    low: float
    high: float


@dataclass(frozen=True)
class Estimates:
    """Values with their intervals; None is absent, and `reasons` says why."""

    values: Sequence[float | None]
    lows: Sequence[float | None] = ()
    highs: Sequence[float | None] = ()
    reasons: Sequence[str | None] = ()

    def __post_init__(self) -> None:
        """Raises InputError unless every given list is as long as `values`."""
        for name in ("lows", "highs", "reasons"):
            given = getattr(self, name)
            if len(given) not in (0, len(self.values)):
                raise uneven_lengths(name, len(self.values), len(given))

    @classmethod
    def of(cls, spans: Sequence[Bounded | None], why: str | None = None) -> Estimates:
        """Of intervals, or of anything else with both ends; `why` an absent one is absent."""
        return cls(
            [None if s is None else s.estimate for s in spans],
            [None if s is None else s.low for s in spans],
            [None if s is None else s.high for s in spans],
            [why if s is None else None for s in spans],
        )

    @classmethod
    def over(cls, draws: Sequence[Sequence[float]]) -> Estimates:
        """The mean of some draws at each place, from the lowest to the highest; absent of none."""
        return cls.of([Span(sum(d) / len(d), min(d), max(d)) if d else None for d in draws])

    def arrays(self) -> tuple[Any, Any, Any]:
        """Values, lows and highs as float arrays; what is absent or not given is nan."""
        bounds = [self.lows or [None] * len(self.values), self.highs or [None] * len(self.values)]
        values, low, high = (as_floats(row) for row in (self.values, *bounds))
        return values, low, high

    def reason(self, index: int) -> str:
        """Why the value at `index` is absent; "not measured" where nothing was said."""
        return (self.reasons[index] if self.reasons else None) or "not measured"


@dataclass
class Footnotes:
    """Letters for the reasons of absent values, in order of first use."""

    letters: dict[str, str] = field(default_factory=dict)

    def mark(self, reason: str) -> str:
        """The letter that stands for `reason`."""
        return self.letters.setdefault(reason, "abcdefghijklmnopqrstuvwxyz"[len(self.letters) % 26])

    def text(self) -> str:
        """All reasons with their letters, or an empty text."""
        notes = [f"({letter}) {reason}" for reason, letter in self.letters.items()]
        return " Absent: " + "; ".join(notes) + "." if notes else ""


def uneven_lengths(what: str, expected: int, got: int) -> InputError:
    """The error for lists of a figure that do not go together."""
    return InputError(
        f"figure: {what}",
        expected=f"{expected} entries",
        got=str(got),
        cure="give one entry per drawn value, None where it is absent",
    )


def check_given(what: str, given: Sequence[object] | Mapping[str, object]) -> None:
    """Raises InputError when there is nothing to draw."""
    if not given:
        raise InputError(
            f"figure: {what}", expected="at least one", got="none", cure="draw no figure then"
        )


def as_floats(row: Sequence[float | None]) -> Any:
    """A float array with nan where `row` holds None; InputError for a nan or inf in `row`."""
    import numpy as np

    for x in row:
        if x is not None and not math.isfinite(x):
            raise InputError(
                "figure",
                expected="finite numbers",
                got=str(x),
                cure="give None for what is absent, with its reason",
            )
    return np.array([np.nan if x is None else float(x) for x in row], dtype=float)


def sheet(width: float, height: float) -> Figure:
    """An empty figure of `width` x `height` inches for the axes alone; `finish` adds the bands."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), dpi=100, layout="constrained", facecolor="white")
    FigureCanvasAgg(figure)
    return figure


def style(axes: Any, grid: Literal["x", "y", "both", "none"]) -> None:
    """One look for every axes: two spines, pale grid behind, ticks of TEXT size."""
    axes.set_axisbelow(True)
    axes.tick_params(labelsize=TEXT, colors=INK, length=3, width=0.6)
    for side, spine in axes.spines.items():
        spine.set_visible(side in ("left", "bottom"))
        spine.set(color=SOFT, linewidth=0.6)
    if grid != "none":
        axes.grid(visible=True, axis=grid, color=PALE, linewidth=0.6)


def stroke(index: int) -> dict[str, Any]:
    """Colour, marker and line of the series `index`: told apart without colour too."""
    return {
        "color": COLOURS[index % len(COLOURS)],
        "marker": MARKERS[index % len(MARKERS)],
        "linestyle": STROKES[(index // len(COLOURS)) % len(STROKES)],
    }


def wrapped(name: str) -> str:
    """A long name on two lines: "Duty & Accountability" breaks after the ampersand."""
    return name.replace(" & ", " &\n") if " & " in name else name.replace(" ", "\n", 1)


def finish(
    figure: Figure, labels: Labels, note: str, keys: Mapping[str, Any], shared_x: str = ""
) -> Figure:
    """The title, the legend and the caption, each in a band that no axes can reach.

    `note` is added to the caption; `shared_x` is an x label that all panels share.
    """
    width, height = figure.get_size_inches()
    title = textwrap.fill(labels.title, max(20, int(width * 10.4)))
    caption = textwrap.fill(labels.caption + note, max(30, int(width * 14.5)))
    legend, legend_height = _legend(figure, keys, width)
    head = 0.1 + 0.21 * (title.count("\n") + 1) + legend_height
    written = 0.1 + LINE * (caption.count("\n") + 1)
    foot = written + (LINE if shared_x else 0.0)
    whole = height + head + foot
    figure.set_size_inches(width, whole)
    layout: Any = figure.get_layout_engine()
    layout.set(rect=(0, foot / whole, 1, height / whole))
    edge = 0.06 / width
    figure.text(edge, 1 - 0.06 / whole, title, size=TITLE, weight="bold", color=INK, va="top")
    figure.text(edge, 0.05 / whole, caption, size=TEXT, color=SOFT, va="bottom")
    if shared_x:
        at = (0.5, written / whole)
        figure.text(*at, shared_x, size=TEXT, color=INK, ha="center", va="bottom")
    if legend is not None:
        legend.set_bbox_to_anchor((edge, 1 - (head - legend_height) / whole))
    return figure


def _legend(figure: Figure, keys: Mapping[str, Any], width: float) -> tuple[Any, float]:
    """A legend in as many columns as fit `width` inches, and its height in inches."""
    if not keys:
        return None, 0.0
    canvas: Any = figure.canvas
    for columns in range(len(keys), 0, -1):
        legend = figure.legend(
            list(keys.values()), list(keys), loc="upper left", ncols=columns, fontsize=TEXT,
            frameon=False, handlelength=2.2, columnspacing=1.4, borderpad=0, borderaxespad=0,
            bbox_to_anchor=(0, 1), labelcolor=INK,
        )  # fmt: skip
        box = legend.get_window_extent(canvas.get_renderer())
        if columns == 1 or box.width / figure.dpi <= width - 0.15:
            break
        legend.remove()
    legend.set_in_layout(False)
    return legend, box.height / figure.dpi + 0.06
