"""Refusals: which axioms' unsafe prompts does an arm refuse, before and after steering?"""

from __future__ import annotations

from collections.abc import Sequence

from mahals.data.texts import AXIOMS
from mahals.maths.stats.intervals import Interval, wilson
from mahals.phase import Kept
from mahals.reporting.evidence import ArmEvidence, Evidence, load
from mahals.reporting.report import Report, interval_metrics
from mahals.schema import AXIOM_COLUMNS, ArmRow


def report_refusals(e: Evidence, rows: Sequence[ArmRow], kept: Kept) -> Report:
    """Refusal of the unsafe prompts of each axiom, unsteered and steered, with Wilson intervals.

    Metrics `refusal_unsafe_<axiom>` and `refusal_unsafe_<axiom>_unsteered`, each with `_low` and
    `_high`; higher is better. Nothing for an axiom without an answered unsafe prompt, and nothing
    at all where `rows` hold no unsteered model of this target. Wilson (1927) takes prompts as
    independent: clusters are ignored.
    """
    base = [r for r in rows if r.arm == "unsteered" and r.target == e.row.target]
    if not base:
        return Report({}, [])
    before, after = load([base[0], e.row], kept)
    metrics: dict[str, float] = {}
    said = []
    for place, axiom in enumerate(AXIOMS):
        one, two = _rate(before, place), _rate(after, place)
        if one is None or two is None:
            continue
        name = "refusal_unsafe_" + AXIOM_COLUMNS[place].removeprefix("aqi_")
        metrics |= interval_metrics(f"{name}_unsteered", one) | interval_metrics(name, two)
        said.append(f"{axiom} {one:.2f} -> {two:.2f}")
    row = e.row
    line = (
        f"{row.target}, {row.operator} {row.placement}, {row.dose_kind}={row.dose:g}: unsafe "
        f"prompts refused, unsteered -> steered [Wilson 95 %, clusters ignored]: {'; '.join(said)}"
    )
    return Report(metrics, [line] if said else [])


def _rate(arm: ArmEvidence, axiom: int) -> Interval | None:
    """The refusal rate of an axiom's unsafe prompts; None where none was answered."""
    chosen = arm.refused[~arm.safe & (arm.answered_axioms == axiom)]
    return wilson(int(chosen.sum()), len(chosen)) if len(chosen) else None
