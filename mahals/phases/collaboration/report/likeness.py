"""Likeness: do agents refuse the same, and hold apart the same, where there is anything to hold?"""

from __future__ import annotations

from itertools import combinations

import numpy as np

from mahals.maths.metrics.aqi import at_floor, lowest_aqi
from mahals.maths.metrics.homophily import homophily_intervals
from mahals.maths.stats.agreement import kappa
from mahals.maths.stats.bootstrap import Resampling, resample_weights
from mahals.maths.stats.intervals import Floats
from mahals.phases.collaboration.report.intervals import mean_interval
from mahals.phases.collaboration.report.talk_table import TalkTable, Who
from mahals.phases.collaboration.rows import BOTH, Context, Row
from mahals.reporting.report import Report, brackets, change_metrics, change_text, joined

RESAMPLES = 1000
NOTHING = "nothing to measure here"


def report_likeness(table: TalkTable) -> Report:
    """Kappa of refusals, then homophily of AQI with its weakest link, of each arm and context."""
    each = [(arm, context) for arm in table.arms() if arm != "self" for context in reversed(BOTH)]
    return joined(one(table, *at) for at in each for one in (_agreement, _homophily))


def _agreement(table: TalkTable, arm: str, context: Context) -> Report:
    some = {a: table.refused(Who(arm, a), context) for a in table.agents(arm)}
    known = {a: refused for a, refused in some.items() if refused is not None}
    lines, found = [], []
    for a, b in combinations(known, 2):
        value, words = _agreed(known[a], known[b])
        found += [] if value is None else [value]
        lines.append(f"{arm}, after {context}, {a} and {b}: {words}")
    metrics = {f"{arm}/refusal_kappa_{context}": float(np.mean(found))} if found else {}
    return Report(metrics, lines)


def _agreed(a: Floats, b: Floats) -> tuple[float | None, str]:
    clusters = [str(c) for c in np.repeat(np.arange(len(a)), a[0].size)]
    found = kappa(a.astype(int).ravel(), b.astype(int).ravel(), clusters)
    if found.kappa is None:
        why = f"refusal kappa absent ({found.reason}), same verdict {found.observed:.2f}"
        return None, why
    spread = "" if found.interval is None else f" {brackets(found.interval, 2)}"
    return found.kappa, f"refusal kappa {found.kappa:+.2f}{spread}"


def _homophily(table: TalkTable, arm: str, context: Context) -> Report:
    agents = table.agents(arm)
    rows = [table.at_end("aqi", Who(arm, a), context) for a in agents]
    cells = [row for row in rows if row is not None]
    if len(cells) < max(2, len(agents)):
        return Report({}, [])
    each = np.stack([table.values(row) for row in cells])  # (agents, conversations, C)
    floored = at_floors(table, cells)
    if floored.all():
        return Report(
            {},
            [
                f"{arm}, after {context}: homophily of AQI: every level reaches the floor of "
                f"{lowest_aqi(cells[0].n or 2):.1f} points: {NOTHING}"
            ],
        )
    shares = resample_weights(each.shape[1], None, None, Resampling(RESAMPLES, 0)) / each.shape[1]
    found = homophily_intervals(each.mean(axis=1), np.einsum("rc,kca->rka", shares, each))
    worst = int(np.argmin([w.estimate for w in found.weakest]))
    metrics = change_metrics(f"{arm}/homophily_{context}", found.value)
    name = cells[0].categories[worst]
    weak = f"weakest link {change_text(found.weakest[worst], 2)} points on {name}"
    if floored[:, worst].any():
        weak = f"weakest link on {name} at the floor: {NOTHING}"
    else:
        metrics[f"{arm}/weakest_link_{context}"] = found.weakest[worst].estimate
    some = f" ({int(floored.sum())} of {floored.size} levels at the floor)" if floored.any() else ""
    line = f"{arm}, after {context}: homophily of AQI {change_text(found.value, 2)}{some}, {weak}"
    return Report(metrics, [line])


def at_floors(table: TalkTable, cells: list[Row]) -> np.ndarray:
    """(agents, C): whether each level's interval over conversations reaches the floor of AQI.

    A row that does not say of how many prompts it is has no floor.
    """
    return np.array(
        [
            [row.n is not None and at_floor(mean_interval(v), row.n) for v in table.values(row).T]
            for row in cells
        ]
    )
