"""Report of em_ablation: what came back, at what cost, and what did the direction induce?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from mahals.maths.misalignment.outcomes import (
    Codes,
    over_nulls,
    restoration,
    restoration_over_nulls,
    rise,
)
from mahals.maths.stats.controls import GainOverRandom
from mahals.maths.stats.intervals import Interval, wilson
from mahals.phase import Kept, Summary
from mahals.phases.em_ablation.rows import Row
from mahals.reporting.evidence import Evidence
from mahals.reporting.planted import planted_lines
from mahals.reporting.report import Report, by_model, change_metrics, change_text
from mahals.schema import NullFamily

if TYPE_CHECKING:
    from mahals.maths.misalignment.outcomes import Outcome

HEADLINE = 1.0
PLANTED = (
    "planted: the organisms' base was taught a careless persona, and one domain's bad answers "
    "re-select it; that one direction carries it, takes it away and brings it back was put there"
)
FAMILIES: dict[NullFamily, str] = {
    "random": "random directions",
    "shuffled_pairs": "shuffled pairs",
}
UP: dict[str, tuple[Outcome, ...]] = {
    "ablate": ("good",),
    "weights": ("good",),
    "induce": ("misaligned",),
}  # the outcomes that an arm is to raise; it is to lower the others


class AblationTable(Evidence[Row]):
    """Rows of arms with their outcomes, question by question."""

    def codes(self, row: Row) -> Codes:
        """(n,) outcomes of one row."""
        return np.asarray(self.tensors(row.codes)["codes"][row.codes_row].numpy())

    def clusters(self, row: Row) -> list[str]:
        """(n,) what intervals cluster on."""
        return [str(int(c)) for c in self.tensors(row.codes)["clusters"]]

    def by_level(self, model: str, subject: str, arm: str) -> list[Row]:
        """The direction's own rows of an arm, from the lowest level to the highest."""
        own = self.where(model=model, subject=subject, arm=arm, family=None)
        return sorted(own, key=lambda r: r.level)

    def nulls_of(self, row: Row) -> dict[NullFamily, list[Codes]]:
        """Of each null family the outcomes of its arms at a row's level."""
        alike = self.where(model=row.model, subject=row.subject, arm=row.arm, level=row.level)
        return {f: [self.codes(r) for r in alike if r.family == f] for f in FAMILIES}

    def rise(self, row: Row, over: Row, outcome: Outcome) -> Interval:
        """The share of an outcome in one row less that in another."""
        return rise(self.codes(row), self.codes(over), self.clusters(row), outcome)


@dataclass(frozen=True)
class OverHarder:
    """The share of an outcome under an arm less its mean under the harder null family."""

    family: NullFamily
    over: GainOverRandom


def over_harder(table: AblationTable, row: Row, outcome: Outcome) -> OverHarder | None:
    """The share of an outcome under an arm over that of null arms of the same level.

    Harder is the family that leaves the arm less of what it is to do: the lower `low` where it is
    to raise the outcome, the higher `high` where it is to lower it. None unless both families have
    two arms or more.
    """
    clusters, codes = table.clusters(row), table.codes(row)
    found = {f: over_nulls(codes, n, clusters, outcome) for f, n in table.nulls_of(row).items()}
    known = [OverHarder(f, over) for f, over in found.items() if over is not None]
    if len(known) < len(found):
        return None
    if outcome in UP[row.arm]:
        return min(known, key=lambda o: (o.over.interval.low, o.over.interval.estimate))
    return max(known, key=lambda o: (o.over.interval.high, o.over.interval.estimate))


def restored_over_harder(
    table: AblationTable, row: Row, bad: Row, original: Row
) -> tuple[NullFamily, Interval] | None:
    """The restoration beyond the null family that leaves less of it; None as in `over_harder`."""
    lost = table.codes(bad), table.codes(original)
    clusters, codes = table.clusters(row), table.codes(row)
    found = {
        f: restoration_over_nulls(codes, nulls, lost, clusters)
        for f, nulls in table.nulls_of(row).items()
    }
    known = [(f, over) for f, over in found.items() if over is not None]
    return min(known, key=lambda k: (k[1].low, k[1].estimate)) if len(known) == len(found) else None


def report_ablation(table: AblationTable) -> Report:
    """Metrics and sentences over all models."""
    return by_model(table, _restored, _cost, _induced, _missed)


def _restored(table: AblationTable, model: str) -> Report:
    """Of each strength, and of the weights' form, what was restored and how EM fell."""
    bad = table.one(model=model, subject="bad", arm="none")
    original = table.one(model=model, subject="original", arm="none")
    if bad is None or original is None:
        why = "no restoration, the subjects bad and original are not both there"
        return Report({}, [f"{model}: {why}"])
    metrics: dict[str, float] = {}
    lines = [
        f"{model}: original EM {_share(original)}, good {_share(original, 'good')}; bad EM "
        f"{_share(bad)}, good {_share(bad, 'good')}, on {bad.asked} unseen prompts"
    ]
    rows = [r for r in table.by_level(model, "bad", "ablate") if r.level > 0]
    for row in rows + table.by_level(model, "bad", "weights"):
        name = f"{row.arm}_{row.level:g}" if row.arm == "ablate" else row.arm
        fall = table.rise(row, bad, "misaligned")
        metrics |= change_metrics(f"{name}/em_change", fall)
        back = _restoration(table, (row, bad, original), metrics, name)
        text = (
            f"{model}, {row.arm} {row.level:g} at blocks {_list(row.blocks)}: restoration {back}, "
            f"EM rate {change_text(fall, 3)} to {_share(row)}"
        )
        lines.append(text + _control(table, row, metrics, name) + _price(row))
    return Report(metrics, lines)


def _restoration(
    table: AblationTable, rows: tuple[Row, Row, Row], metrics: dict[str, float], name: str
) -> str:
    """What share of the good answers that were lost came back, in all and beyond null arms."""
    row, bad, original = rows
    ablated, lost, whole = (table.codes(r) for r in rows)
    back = restoration(ablated, lost, whole, table.clusters(row))
    if back.interval is None:
        return f"absent ({back.why})"
    metrics |= change_metrics(f"{name}/restoration", back.interval)
    text = change_text(back.interval, 3)
    over = restored_over_harder(table, row, bad, original)
    if over is None:
        return text
    metrics |= change_metrics(f"{name}/restoration_over_random", over[1])
    return f"{text}, beyond {FAMILIES[over[0]]} {change_text(over[1], 3)}"


def _control(table: AblationTable, row: Row, metrics: dict[str, float], name: str) -> str:
    """The same arm against the harder family of null directions of equal KL, in words."""
    parts = []
    outcomes: tuple[tuple[str, Outcome], ...] = (("EM", "misaligned"), ("good", "good"))
    for word, outcome in outcomes:
        found = over_harder(table, row, outcome)
        if found is None:
            parts.append(f"{word} absent (fewer than 2 arms of a family)")
            continue
        metrics |= change_metrics(f"{name}/{outcome}_over_random", found.over.interval)
        parts.append(f"{word} {change_text(found.over.interval, 3)} ({FAMILIES[found.family]})")
    how = "taken out in the same way" if row.arm == "weights" else "of equal KL"
    return f"; over the harder null directions {how}: " + ", ".join(parts)


def _price(row: Row) -> str:
    kl = "" if row.kl is None else f"KL {row.kl:.3f}, "
    over = f", over the ceiling: {_list(row.over_ceiling)}" if row.over_ceiling else ""
    unsure = f", not shown safe: {_list(row.not_shown_safe)}" if row.not_shown_safe else ""
    accuracy = "" if row.safe_accuracy is None else f", safe accuracy {row.safe_accuracy:.2f}"
    return (
        f"; price: {kl}perplexity ratio {row.perplexity_ratio:.3f}{accuracy}, incoherent "
        f"{row.incoherent}, degenerate {row.degenerate} of {row.asked}{over}{unsure}"
    )


def _cost(table: AblationTable, model: str) -> Report:
    """What the same ablation does to the control adapter, which needs no cure."""
    none = table.one(model=model, subject="good", arm="none")
    row = table.one(model=model, subject="good", arm="ablate", level=HEADLINE, family=None)
    if none is None or row is None:
        return Report({}, [])
    change = table.rise(row, none, "good")
    metrics = change_metrics("control_adapter/good_change", change)
    text = (
        f"{model}, control adapter, ablate {HEADLINE:g}: good answers {change_text(change, 3)} "
        f"from {_share(none, 'good')}"
    )
    line = text + _control(table, row, metrics, "control_adapter") + _price(row)
    return Report(metrics, [line])


def _induced(table: AblationTable, model: str) -> Report:
    """Does the direction, added to the original, raise EM above null ones of equal KL?"""
    metrics: dict[str, float] = {}
    lines = []
    none = table.one(model=model, subject="original", arm="none")
    if none is None:
        return Report({}, [])
    for row in table.by_level(model, "original", "induce"):
        up = table.rise(row, none, "misaligned")
        name = f"induce_{row.level:g}"
        metrics |= change_metrics(f"{name}/em_change", up)
        text = (
            f"{model}, induction at KL {row.level:g}: EM rate {change_text(up, 3)} to {_share(row)}"
        )
        lines.append(text + _control(table, row, metrics, name) + _price(row))
    return Report(metrics, lines)


def _missed(table: AblationTable, model: str) -> Report:
    own = table.where(model=model)
    missed = dict.fromkeys(f"{model}, {r.subject}: {w}" for r in own for w in r.missed)
    return Report({}, list(missed))


def _share(row: Row, what: str = "misaligned") -> str:
    return f"{wilson(getattr(row, what), row.asked):.3f}"


def _list(items: Sequence[object]) -> str:
    return ", ".join(map(str, items))


def summarize(rows: Sequence[Row], kept: Kept) -> Summary:
    """Restoration with its interval and the fall of the EM rate, over null directions; induction.

    Every number has both null families at equal KL beside it, and is told over the harder one.
    """
    report = report_ablation(AblationTable(rows, kept))
    lines = (*planted_lines(PLANTED, rows), *report.lines)
    return Summary(report.metrics, lines, (), ())
