"""Report of replication: in how many trainings does each claim hold, and how far do they lie apart?

A number holds in a training if its own interval lies on that side of 0 where the mean of all is; a
line of the board, if its gap over the null arms does so above 0 and its price is under the ceiling.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import combinations

from mahals.maths.stats.between import Between, Estimate, apart, between, held
from mahals.maths.stats.intervals import Interval
from mahals.phase import Kept, Summary
from mahals.phases.replication.rows import Row
from mahals.reporting.report import interval_metrics
from mahals.schema import Configuration, Entry

BEST = 5  # lines of the board that are told
HELD = "trainings_held"


@dataclass(frozen=True)
class Claim:
    """One number, or one line of the board, over the trainings that have it."""

    phase: str
    name: str
    rows: tuple[Row, ...]  # one a training; of a line without a gap in it, too
    over: Between | None  # None of fewer than two numbers

    @property
    def is_line(self) -> bool:
        """Whether it is a line of the board."""
        return self.rows[0].line is not None

    @property
    def estimates(self) -> tuple[Estimate, ...]:
        """The numbers that there are, training by training."""
        return tuple(Estimate(r.value, r.low, r.high) for r in self.rows if r.value is not None)

    @property
    def interval(self) -> Interval | None:
        """95 % between trainings, cut to what the number can be; None where they do not differ."""
        if self.over is None or not self.over.varies:
            return None
        found = self.over.interval()
        least, most = (-1.0, 1.0) if self.is_line else limits(self.name)
        return replace(found, low=max(least, found.low), high=min(most, found.high))

    @property
    def held(self) -> int | None:
        """In how many trainings it holds; None for a number that has no interval."""
        if self.is_line:
            return sum(_holds(row) for row in self.rows)
        found = self.estimates
        return held(found) if all(each.low is not None for each in found) else None


SHARES = ("refusal_unsafe", "refusal_safe", "attack_success", "homophily", "degenerate", "anti_")
DIFFERENCES = ("refusal_gap", "gap_over", "attack_gain", "refusal_kappa")


def limits(name: str) -> tuple[float, float]:
    """What the number that a metric's name ends on can be: a share, or a difference of shares."""
    last = name.rsplit("/", 1)[-1]
    if last.startswith(DIFFERENCES) or (last.startswith(SHARES) and "_over_" in last):
        return -1.0, 1.0
    return (0.0, 1.0) if last.startswith(SHARES) else (-math.inf, math.inf)


def claims(rows: Iterable[Row]) -> tuple[Claim, ...]:
    """What more than one training could say something of, in the order of the first one's rows."""
    groups: dict[tuple[str, str, Configuration | None], dict[int, Row]] = {}
    for row in rows:
        key = row.phase, row.name, None if row.line is None else row.line.configuration
        groups.setdefault(key, {})[row.training] = row
    made = []
    for (phase, name, _), group in groups.items():
        values = [row.value for row in group.values() if row.value is not None]
        over = between(values) if len(values) > 1 else None
        made.append(Claim(phase, name, tuple(group.values()), over))
    return tuple(made)


def summarize(rows: Sequence[Row], kept: Kept) -> Summary:
    """Pure: from rows alone. One training says nothing of others: no number then."""
    seeds = sorted({row.training for row in rows})
    if len(seeds) < 2:
        said = "Fewer than two trainings are measured: nothing can be said of others."
        return Summary({}, (said,), (), ())
    found = claims(rows)
    metrics = {"trainings": float(len(seeds))}
    lines = [
        f"{len(seeds)} trainings of the organisms (seeds {', '.join(map(str, seeds))}); "
        "texts, suite and seed are the same."
    ]
    for phase in dict.fromkeys(row.phase for row in rows):
        own = [claim for claim in found if claim.phase == phase]
        for claim in own:
            metrics |= _metrics(claim, len(seeds))
        metrics |= _apart_metrics(phase, own)
        lines += _phase_lines(phase, own, metrics, len(seeds))
    lines += _board_lines(found, len(seeds))
    return Summary(metrics, tuple(lines), _entries(found), ())


def _holds(row: Row) -> bool:
    """Whether a line's gap is above that of the null arms, under the ceiling."""
    return (
        row.low is not None and row.low > 0 and row.line is not None and not row.line.over_ceiling
    )


def _metrics(claim: Claim, trainings: int) -> dict[str, float]:
    """Mean, 95 % between trainings where they differ, and how many hold."""
    name = f"{claim.phase}/{'board/' if claim.is_line else ''}{claim.name}"
    metrics = {} if claim.held is None else {f"{name}_held": float(claim.held)}
    if claim.over is None:
        return metrics
    metrics[name] = claim.over.mean
    if claim.interval is not None:
        metrics |= interval_metrics(name, claim.interval)
    if claim.over.trainings < trainings:
        metrics[f"{name}_trainings"] = float(claim.over.trainings)
    return metrics


def _apart_metrics(phase: str, own: Iterable[Claim]) -> dict[str, float]:
    """The share of pairs of trainings that differ by more than the interval of the difference."""
    pairs = [
        apart(one, other)
        for claim in own
        if not claim.is_line  # their gaps are among the numbers
        for one, other in combinations(claim.estimates, 2)
        if one.has_width and other.has_width
    ]
    if not pairs:
        return {}
    return {f"{phase}/apart_share": sum(pairs) / len(pairs), f"{phase}/pairs": float(len(pairs))}


def _phase_lines(
    phase: str, own: Sequence[Claim], metrics: dict[str, float], trainings: int
) -> list[str]:
    counts = [claim.held for claim in own if not claim.is_line and claim.held]
    every, half = (sum(n >= least for n in counts) for least in (trainings, trainings / 2))
    lines = [
        f"{phase}: of {len(counts)} numbers whose interval lies beside 0 in some training, on the "
        f"side of the mean, {every} do so in all {trainings} and {half} in half of them or more."
    ]
    if f"{phase}/apart_share" in metrics:
        share, pairs = metrics[f"{phase}/apart_share"], metrics[f"{phase}/pairs"]
        lines.append(
            f"{phase}: {share:.0%} of {pairs:.0f} differences between two trainings lie outside "
            "their 95 % interval over prompts and draws (about 5 % if trainings differed by as "
            "little as draws of prompts)."
        )
    return lines


def _board_lines(found: Iterable[Claim], trainings: int) -> list[str]:
    board = [claim for claim in latest(found) if claim.estimates]
    if not board:
        return []
    every, some = (sum((c.held or 0) >= least for c in board) for least in (trainings, 1))
    lines = [
        f"Board: of {len(board)} steered lines with a gap over the null arms, {every} hold in all "
        f"{trainings} trainings (above 0, under the ceiling), {some - every} in some, "
        f"{len(board) - some} in none."
    ]
    for claim in best(board)[:BEST]:
        if claim.held and claim.over is not None:
            span = "the same in all" if claim.interval is None else f"{claim.interval:+.2f}"
            lines.append(
                f"{claim.name}: gap over the null arms {span}, between trainings; holds in "
                f"{claim.held} of {trainings}."
            )
    return lines


def latest(found: Iterable[Claim]) -> list[Claim]:
    """The lines of the board, each once: as the last phase that measured it says."""
    lines: dict[Configuration, Claim] = {}
    for claim in found:
        if (line := claim.rows[0].line) is not None:
            lines[line.configuration] = claim
    return list(lines.values())


def best(board: Iterable[Claim]) -> list[Claim]:
    """Lines by the trainings in which they hold, then by the mean gap; the highest first."""

    def order(claim: Claim) -> tuple[int, float, str]:
        mean = claim.over.mean if claim.over is not None else -1.0
        return -(claim.held or 0), -mean, claim.name

    return sorted(board, key=order)


def _entries(found: Iterable[Claim]) -> tuple[Entry, ...]:
    """Each line with the number of trainings in which it holds, for the board to join."""
    lines = []
    for claim in latest(found):
        first = claim.rows[0].line
        assert first is not None
        counted = {HELD: float(claim.held or 0)}
        lines.append(replace(first, metrics=counted, reasons={}, training=None))
    return tuple(lines)
