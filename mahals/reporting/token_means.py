"""Token means report: what do answers that restart have, beside those that never do?"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

from mahals.maths.metrics.token_means import REGIONS, TokenMean
from mahals.phase import Kept, Summary
from mahals.reporting.evidence import Evidence
from mahals.reporting.planted import planted_lines
from mahals.reporting.plots.curves import Curve, curve_with_band
from mahals.reporting.plots.sheet import SOFT, Estimates, Labels, Span
from mahals.reporting.report import Report, joined
from mahals.reporting.resistance import PLANTED

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


def means_summary(
    rows: Sequence[Any], kept: Kept, parts: Callable[..., Iterable[Report]] = lambda *_: ()
) -> Summary:
    """Of each table its other parts, then a sentence for each quantity and steering.

    Metrics `<name>/<quantity>/<region>`, of episodes, and `_over_derailed` with its interval.
    """
    told = joined(r for of in tables(rows, kept).items() for r in (*parts(*of), _means(*of)))
    lines = (*planted_lines(PLANTED, rows), *told.lines, ENDS_LEFT_OUT)
    return Summary(told.metrics, lines, (), ())


def _means(name: str, table: Evidence[Any]) -> Report:
    metrics, told = dict[str, float](), dict[tuple[str, str], dict[str, list[str]]]()
    for r in (r for r in table.rows if r.place in REGIONS):
        ends = "" if r.low is None else f" [{r.low:.3g}, {r.high:.3g}]"
        places = told.setdefault((r.quantity, r.steering), {})
        places.setdefault(r.place, []).append(f"{r.group} {r.mean:.3g}{ends} ({r.count})")
        slug = f"{name}/{r.quantity}/{r.place.replace(' ', '_')}"
        over = f"{slug}_over_derailed"
        if r.steering == first_steering(table) and r.group == "episode":
            metrics[slug] = r.mean
        elif r.steering == first_steering(table) and r.group == "difference":
            known = {over: r.mean, f"{over}_low": r.low, f"{over}_high": r.high}
            metrics |= {n: v for n, v in known.items() if v is not None}
    lines = [f"{name}, {r.quantity or 'episodes'}: absent: {r.why}" for r in table.rows if r.why]
    for (quantity, steering), places in told.items():
        words = "; ".join(f"{place} {', '.join(some)}" for place, some in places.items())
        lines.append(f"{name}, {quantity}, steering {steering}: {words}")
    return Report(metrics, lines)


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
    x, panels = sorted({r.place for r in rows}), dict[str, Curve]()
    for quantity, title in titles.items():
        arms = dict[str, Estimates]()
        for group in ("episode", "derailed"):
            own = [r for r in rows if (r.quantity, r.group) == (quantity, group)]
            most = max((r.count for r in own), default=0)
            at = {r.place: span_of(r) for r in own if 2 * r.count >= most}
            if at:
                arms[SERIES[group]] = Estimates.of([at.get(k) for k in x])
        if arms:
            panels[title] = Curve(x, arms)
    figure = curve_with_band(panels, labels, columns=2)
    for axes in figure.axes[: len(panels)]:
        for mark in marks:
            axes.axvline(mark, color=SOFT, linewidth=0.9, linestyle=":", zorder=1)
    return figure
