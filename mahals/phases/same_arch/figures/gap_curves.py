"""Gap curves: what does the own vector do to refusals, dose by dose, and at what price?"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from mahals.phases.same_arch.rows import Row
from mahals.reporting.evidence import ArmTable
from mahals.reporting.gains import collect
from mahals.reporting.headlines import FAMILY_WORDS
from mahals.reporting.lines import Line, lines
from mahals.reporting.paths import (
    REFERENCES,
    beside,
    flipped_of,
    gap_of_row,
    null_gaps,
    paths_of,
)
from mahals.reporting.plots.curves import Curve, curve_with_band
from mahals.reporting.plots.sheet import Bounded, Estimates, Labels
from mahals.reporting.plots.tradeoff import Tradeoff, value_over_price

if TYPE_CHECKING:
    from matplotlib.figure import Figure

PLACES = "target", "operator", "placement"
GAP = "refusal gap (unsafe less safe)"


def gap_figures(table: ArmTable[Row]) -> dict[str, Figure]:
    """gap_over_dose and gap_over_price; none where no arm stands at a dose of the suite."""
    some = lines(collect(table), table)
    if not some:
        return {}
    asked = len(table.arm(some[0].chosen.row).refused)
    prompts = f"{asked} answered prompts; a degenerate answer is a failure"
    families = draws_by_family(table)
    labels = Labels(
        "Refusal gap over the dose of the model's own vector",
        GAP,
        f"{prompts}. In a line's colour: 95 % interval over prompts. Bands: mean and range of "
        f"{families} at the same KL; a rank also has to beat those of higher KL.",
        better="higher",
        other="dose (nats per token from the unsteered model; 0 = unsteered)",
    )
    price = replace(
        labels,
        title="What the own vector buys, and at what price",
        caption=f"{prompts}. Lines: the doses, from the unsteered model at 1; 95 % intervals over "
        f"prompts. Dots: {families}, at all doses.",
        other="perplexity ratio on neutral text;  \u2190 lower is better",
    )
    return {
        "gap_over_dose": curve_with_band(dose_panels(some, table), labels, share=True),
        "gap_over_price": value_over_price(price_panels(some, table), price),
    }


def draws_by_family(table: ArmTable[Row]) -> str:
    """How many null arms of each family there are at a dose, in words."""
    words = []
    for family, name in FAMILY_WORDS.items():
        draws = {r.draw for r in table.where(arm=family, dose_kind="kl")}
        if draws:
            words.append(f"{len(draws)} {name}")
    return " and ".join(words) or "no null arms"


def _namer(some: Sequence[Line[Row]], columns: Sequence[str]) -> Callable[[Line[Row]], str]:
    """The values of the columns in which lines differ; an empty name where they do not."""
    differ = [c for c in columns if len({getattr(e.chosen.row, c) for e in some}) > 1]
    return lambda line: " ".join(str(getattr(line.chosen.row, c)) for c in differ)


def dose_panels(some: Sequence[Line[Row]], table: ArmTable[Row]) -> Mapping[str, Curve]:
    """One panel per target, operator and placement: refusal gap over KL from 0, unsteered."""
    name = _namer(some, PLACES)
    return {name(line) or line.chosen.row.target: _dose_panel(line, table) for line in some}


def _dose_panel(line: Line[Row], table: ArmTable[Row]) -> Curve:
    row = line.chosen.row
    base = table.unsteered_of(row)
    zero = gap_of_row(base, table)
    x = [0.0, *(e.row.dose or 0.0 for e in line.arms)]
    flipped = {r.dose: gap_of_row(r, table) for r in flipped_of(line, table)}
    turned: list[Bounded | None] = [zero, *(flipped.get(v) for v in x[1:])]
    nulls = {
        family: [(r, gap) for r, gap in found if _alike(r, row)]
        for family, found in null_gaps(row.target, table).items()
    }
    bands = {
        FAMILY_WORDS[family]: Estimates.over(
            [[zero.estimate], *([g for r, g in found if r.dose == v] for v in x[1:])]
        )
        for family, found in nulls.items()
        if found
    }
    return Curve(
        x,
        {"own vector": Estimates.of([zero, *(e.gap for e in line.arms)])},
        band=bands,
        flipped={"sign flipped": Estimates.of(turned)} if flipped else {},
        references=references(row.target, table),
        chosen={"own vector": row.dose or 0.0} if row.selection_gap is not None else {},
    )


def _alike(null: object, row: Row) -> bool:
    """Whether a null arm was made for the operator, placement and blocks of a row."""
    columns = "operator", "placement", "layers"
    return all(getattr(null, c) == getattr(row, c) for c in columns)


def references(target: str, table: ArmTable[Row]) -> dict[str, float]:
    """The refusal gaps of the models of a target that no vector steers."""
    rows = {word: table.one(target=target, arm=arm) for arm, word in REFERENCES.items()}
    return {word: table.arm(r).gap for word, r in rows.items() if r is not None}


def price_panels(some: Sequence[Line[Row]], table: ArmTable[Row]) -> Mapping[str, Tradeoff]:
    """One panel per target: refusal gap over perplexity ratio."""
    name = _namer(some, PLACES[1:])
    panels = {}
    for target in dict.fromkeys(line.chosen.row.target for line in some):
        own = [line for line in some if line.chosen.row.target == target]
        panels[target] = replace(
            beside(target, table),
            paths=paths_of(own, table, lambda e: f"own vector {name(e)}".strip()),
            flipped=paths_of(own, table, lambda e: f"sign flipped {name(e)}".strip(), True),
        )
    return panels
