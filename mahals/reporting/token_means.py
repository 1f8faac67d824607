"""Token means report: what do answers that restart have, beside those that never do?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

from mahals.maths.metrics.token_means import REGIONS, TokenMean
from mahals.phase import Kept
from mahals.reporting.evidence import Evidence
from mahals.reporting.plots.curves import Curve, curve_with_band
from mahals.reporting.plots.sheet import SOFT, Estimates, Labels, Span
from mahals.reporting.report import Report

if TYPE_CHECKING:
    from matplotlib.figure import Figure

ENDS_LEFT_OUT = (
    "regions are without the end of the sentence before a restart, and of the answer: an answer "
    "that never restarts has none as early, and latents that are active at full stops would differ"
)
R = TypeVar("R", bound=TokenMean)
SERIES: Mapping[str, str] = {
    "episode": "restarts",
    "derailed": "never restarts, as early",
    "unsteered": "unsteered, all tokens",
}


def tables(rows: Sequence[R], kept: Kept) -> dict[str, Evidence[R]]:
    """The rows of each subject and situation, and model if there are several, under these names."""
    several = len({r.model for r in rows}) > 1
    found: dict[str, list[R]] = {}
    for r in rows:
        name = f"{r.subject}/{r.situation}"
        found.setdefault(f"{r.model}/{name}" if several else name, []).append(r)
    return {name: Evidence(own, kept) for name, own in found.items()}


def first_steering(table: Evidence[Any]) -> str:
    """How answers were read first: as when they were written."""
    return next((str(s) for s in table.values_of("steering") if s), "")


def means_report(name: str, table: Evidence[Any]) -> Report:
    """A sentence for each quantity and steering: its means by region and group.

    Metrics `<name>/<quantity>/<region>`, of episodes, and `_over_derailed` with its interval.
    """
    metrics: dict[str, float | None] = {}
    lines = [f"{name}, {r.quantity or 'episodes'}: absent: {r.why}" for r in table.rows if r.why]
    rows = [r for r in table.rows if r.place in REGIONS]
    for quantity, steering in dict.fromkeys((r.quantity, r.steering) for r in rows):
        own = [r for r in rows if (r.quantity, r.steering) == (quantity, steering)]
        told = [
            f"{place} " + ", ".join(f"{r.group} {mean_text(r)}" for r in own if r.place == place)
            for place in dict.fromkeys(r.place for r in own)
        ]
        lines.append(f"{name}, {quantity}, steering {steering}: {'; '.join(told)}")
        for r in own if steering == first_steering(table) else ():
            place = f"{name}/{quantity}/{r.place.replace(' ', '_')}"
            if r.group == "episode":
                metrics[place] = r.mean
            if r.group == "difference":
                over = f"{place}_over_derailed"
                metrics |= {over: r.mean, f"{over}_low": r.low, f"{over}_high": r.high}
    return Report({n: v for n, v in metrics.items() if v is not None}, lines)


def mean_text(r: TokenMean) -> str:
    """A mean with its interval, and of how many answers."""
    ends = "" if r.low is None or r.high is None else f" [{r.low:.3g}, {r.high:.3g}]"
    return f"{r.mean:.3g}{ends} ({r.count})"


def span_of(r: TokenMean) -> Span:
    """A mean with its ends, which are the mean where it has no interval."""
    mean = r.mean or 0.0
    return Span(mean, mean if r.low is None else r.low, mean if r.high is None else r.high)


def aligned_figure(
    table: Evidence[Any], titles: Mapping[str, str], labels: Labels, marks: Sequence[float] = (0.0,)
) -> Figure:
    """A panel for each quantity in `titles`: episodes and their twins, the restart at 0.

    Of each group the tokens that at least half of its answers have.
    """
    rows = [r for r in table.where(steering=first_steering(table)) if isinstance(r.place, int)]
    x = sorted({r.place for r in rows})
    panels = {}
    for quantity, title in titles.items():
        own = [r for r in rows if r.quantity == quantity]
        most = {g: max((r.count for r in own if r.group == g), default=0) for g in SERIES}
        at = {(r.group, r.place): span_of(r) for r in own if 2 * r.count >= most.get(r.group, 0)}
        if at:
            arms = {g: [at.get((g, k)) for k in x] for g in ("episode", "derailed")}
            panels[title] = Curve(
                x, {SERIES[g]: Estimates.of(v) for g, v in arms.items() if any(v)}
            )
    figure = curve_with_band(panels, labels, columns=2)
    for axes in figure.axes[: len(panels)]:
        for mark in marks:
            axes.axvline(mark, color=SOFT, linewidth=0.9, linestyle=":", zorder=1)
    return figure
