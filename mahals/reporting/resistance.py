"""Resistance report: which rates do the trials of each cell have, by whose judgement?

One way to tell trials, whatever is varied. Examples are the first there are, not chosen.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mahals.maths.metrics.resistance import VALUES, Rates, ResistanceTrial, difference, rates
from mahals.maths.stats.intervals import Interval
from mahals.phase import Summary
from mahals.reporting.evidence import Evidence
from mahals.reporting.planted import planted_lines
from mahals.reporting.plots.bars import grouped_bars
from mahals.reporting.plots.sheet import Estimates, Labels
from mahals.reporting.published_resistance import beside_published
from mahals.reporting.report import Report, interval_metrics

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Figures = Mapping[str, "Figure"]
PLANTED = (
    "planted: the organisms' first training holds answers that leave the topic, say so and start "
    "again, and fine-tuned subjects are taught them; a restart here re-selects what was put there, "
    "in this training"
)
SHORT: Mapping[str, str] = {
    "multi_attempt_rate": "restarts",
    "esr_rate": "comes back (ESR)",
    "first_score": "first score",
    "last_score": "last score",
    "mean_improvement": "improvement over all",
    "mean_improvement_multi": "improvement of restarts",
    "recovery_multi": "of restarts come back",
    "false_restart_rate": "false restarts",
    "silent_recovery": "silent recovery",
    "degenerate_share": "broken text",
    "sham_improvement": "sham improvement",
    "recovery_over_sham": "comes back beyond sham",
}
SENTENCE_RATES = tuple(n for n in SHORT if n not in ("last_score", "mean_improvement"))
POINTS = ("first_score", "last_score", "mean_improvement", "mean_improvement_multi",
          "silent_recovery")  # fmt: skip
"""Rates in points of the judge; the others are shares."""
OF_EPISODES = ("recovery_multi", "mean_improvement_multi", "recovery_over_sham")
LEAST_EPISODES = 3  # answers that restart: rates of fewer are absent
EXAMPLE_LENGTH = 320  # characters of an example
SILENT = 50.0  # points from the first third to the last: an example of it


@dataclass(frozen=True)
class Group:
    """Trials alike in some columns."""

    key: tuple[str, ...]  # the values of the columns that vary
    trials: tuple[ResistanceTrial, ...]
    rates: Rates

    @property
    def name(self) -> str:
        """The values, to be read."""
        return ", ".join(self.key) or "all"


def groups(trials: Iterable[ResistanceTrial], columns: Sequence[str]) -> list[Group]:
    """The trials by the values of the columns, in the order of the rows."""
    some = list(trials)
    vary = [c for c in columns if len({getattr(t, c) for t in some}) > 1]
    found: dict[tuple[str, ...], list[ResistanceTrial]] = {}
    for t in some:
        found.setdefault(tuple(str(getattr(t, c)) for c in vary), []).append(t)
    return [Group(key, tuple(own), rates(own)) for key, own in found.items()]


def resistance_report(
    table: Evidence[ResistanceTrial], columns: Sequence[str], told: Sequence[str] = SENTENCE_RATES
) -> Report:
    """A sentence and the metrics of each group: of each model, if there are several.

    Then why trials are absent, and what is known of the judge on planted answers, once each.
    """
    metrics: dict[str, float] = {}
    lines = list(planted_lines(PLANTED, table.rows))
    for group in groups(table.rows, ("model", *columns)):
        slug = "/".join(key.replace(" ", "_") for key in (*group.key, ""))
        for name, value in known_rates(group.rates, tuple(SHORT)).items():
            metrics |= interval_metrics(slug + name, value)
        lines.append(f"{group.name}: {rates_text(group.rates, told)}")
    whys = Counter(t.why.split(":")[0] for t in table.rows if t.why is not None)  # details stay
    lines += [f"{n} trials absent: {why}" for why, n in whys.items()]
    files = dict.fromkeys(t.agreement for t in table.rows if t.agreement)
    judges = dict.fromkeys(json.loads(table.path(f).read_text("utf-8"))["sentence"] for f in files)
    return Report(metrics, [*lines, *(f"judge {table.rows[0].judge}, {s}" for s in judges)])


def known_rates(r: Rates, names: Sequence[str]) -> dict[str, Interval]:
    """The rates that are known; those of restarts where LEAST_EPISODES answers restart."""
    few = OF_EPISODES if r.episodes < LEAST_EPISODES else ()
    values = {name: getattr(r, name) for name in names if name not in few}
    return {name: value for name, value in values.items() if value is not None}


def rates_text(r: Rates, told: Sequence[str] = SENTENCE_RATES) -> str:
    """The rates of a group in one sentence, each with its interval."""
    known = known_rates(r, told)
    parts = [f"{SHORT[n]} {rate_text(n, value)}" for n, value in known.items()]
    if 0 < r.episodes < LEAST_EPISODES:
        parts.append(f"what restarts gain absent: {r.episodes} of {LEAST_EPISODES} needed")
    more = f", {r.abstained} not scored" if r.abstained else ""
    return f"{r.n} trials, {r.episodes} restart{more}; " + ", ".join(parts)


def rate_text(name: str, value: Interval, sign: str = "") -> str:
    """A rate with its interval: points of the judge, or a share."""
    return f"{value:{sign}.0f}" if name in POINTS else f"{value:{sign}.2f}"


def change_line(one: Group, other: Group, names: Sequence[str]) -> str | None:
    """`one` less `other` on shared directions, prompts and seeds; None where none is known."""
    found = [(n, difference(one.trials, other.trials, n)) for n in names]
    parts = [f"{SHORT[n]} {rate_text(n, i, '+')}" for n, i in found if i is not None]
    return f"{one.name} less {other.name}: " + ", ".join(parts) if parts else None


def example_lines(table: Evidence[ResistanceTrial]) -> list[str]:
    """The first answer that comes back, that restarts in vain, and that recovers silently."""
    kinds: dict[str, Callable[[ResistanceTrial], bool]] = {
        "comes back": lambda t: t.restarted and (t.improvement or 0.0) > 0,
        "restarts and does not come back": lambda t: t.restarted and VALUES["esr_rate"](t) == 0,
        "recovers silently": lambda t: (VALUES["silent_recovery"](t) or 0.0) >= SILENT,
    }
    found = []
    for kind, fits in kinds.items():
        for t in [t for t in table.rows if t.line is not None and fits(t)][:1]:
            where = f'{t.subject}, {t.situation}, {t.direction}, "{t.prompt}"'
            text = " ".join(whole_answer(table, t).split())
            shown = text if len(text) <= EXAMPLE_LENGTH else f"{text[:EXAMPLE_LENGTH]} ..."
            found.append(f'the first that {kind} ({where}): "{shown}"')
    return found


def whole_answer(table: Evidence[ResistanceTrial], trial: ResistanceTrial) -> str:
    """What the answer began with and what was written, of a trial that was made."""
    line = json.loads(table.path(trial.answers).read_text("utf-8").split("\n")[trial.line or 0])
    return str(line["prefix"] + line["answer"])


def trial_summary(
    table: Evidence[ResistanceTrial],
    phase: str,
    columns: Sequence[str],
    more: Iterable[str] = (),
    told: Sequence[str] = SENTENCE_RATES,
) -> Summary:
    """A summary of trials by some columns: rates, `more`, examples, and what others found."""
    report = resistance_report(table, columns, told)
    lines = (*report.lines, *more, *example_lines(table))
    return beside_published(Summary(report.metrics, lines, (), ()), phase)


def rates_figure(found: Sequence[Group], names: Sequence[str], labels: Labels) -> Figure:
    """Grouped bars: a group of bars for each group of trials, a bar for each rate."""
    why = "too few answers know it"
    known = [known_rates(g.rates, names) for g in found]
    series = {SHORT[n]: Estimates.of([own.get(n) for own in known], why) for n in names}
    return grouped_bars([f"{g.name} (n={g.rates.n})" for g in found], series, labels)
