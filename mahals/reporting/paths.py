"""Paths: which points does a vector pass at its doses, beside which nulls and references?"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from mahals.maths.stats.intervals import Interval
from mahals.reporting.evidence import A, ArmTable
from mahals.reporting.headlines import FAMILY_WORDS
from mahals.reporting.lines import Line, line_key
from mahals.reporting.plots.sheet import Estimates
from mahals.reporting.plots.tradeoff import Path, Tradeoff
from mahals.schema import NULLS, ArmRow, NullFamily

Gaps = Mapping[NullFamily, Sequence[tuple[ArmRow, float]]]
"""The null arms of a target at the suite's doses, by family, each with its refusal gap."""


def null_gaps(target: str, table: ArmTable[A]) -> Gaps:
    """The refusal gap of every null arm of a target that stands at a KL dose, by family."""
    found: dict[NullFamily, list[tuple[ArmRow, float]]] = {}
    for row in table.where(target=target, dose_kind="kl"):
        for family in NULLS:
            if row.arm == family:
                found.setdefault(family, []).append((row, table.arm(row).gap))
    return {family: found[family] for family in NULLS if family in found}


def gap_of_row(row: A, table: ArmTable[A]) -> Interval:
    """The refusal gap of a row, with its interval over prompts."""
    return table.arm(row).refusals().interval


def flipped_of(line: Line[A], table: ArmTable[A]) -> list[A]:
    """The arms of a line with their sign flipped, by rising dose in nats."""
    row = line.chosen.row
    same = [
        r
        for r in table.where(arm="flipped", dose_kind="kl")
        if line_key(r)[2:] == line_key(row)[2:] and r.target == row.target
    ]
    return sorted(same, key=lambda r: r.dose or 0.0)


def path_of(rows: Sequence[A], table: ArmTable[A], chosen: A | None = None) -> Path | None:
    """Refusal gap over perplexity ratio, from the unsteered model; None where none has a price."""
    priced = [r for r in [table.unsteered_of(rows[0]), *rows] if r.perplexity_ratio is not None]
    if len(priced) < 2:
        return None
    return Path(
        prices=[r.perplexity_ratio for r in priced if r.perplexity_ratio is not None],
        measured=Estimates.of([gap_of_row(r, table) for r in priced]),
        over=[bool(r.over_ceiling) for r in priced],
        chosen=next((i for i, r in enumerate(priced) if r is chosen), None),
    )


def paths_of(
    some: Sequence[Line[A]],
    table: ArmTable[A],
    name: Callable[[Line[A]], str],
    flipped: bool = False,
) -> dict[str, Path]:
    """The path of each line through its doses, by name; or of its arms with their sign flipped."""
    found = {}
    for line in some:
        rows = flipped_of(line, table) if flipped else [e.row for e in line.arms]
        tried = line.chosen.row.selection_gap is not None and not flipped
        path = path_of(rows, table, line.chosen.row if tried else None) if rows else None
        if path is not None:
            found[name(line)] = path
    return found


def beside(target: str, table: ArmTable[A]) -> Tradeoff:
    """What the paths of a target are compared with: null arms, the unsteered and aligned models.

    The instruction in the prompt changes no neutral text: it has a level and no price.
    """
    dots = {
        FAMILY_WORDS[family]: [
            (row.perplexity_ratio, gap) for row, gap in some if row.perplexity_ratio is not None
        ]
        for family, some in null_gaps(target, table).items()
    }
    landmarks: dict[str, tuple[float, float]] = {}
    levels: dict[str, float] = {}
    for arm, word in REFERENCES.items():
        row = next(iter(table.where(target=target, arm=arm)), None)
        if row is None:
            continue
        gap = table.arm(row).gap
        if row.perplexity_ratio is None:
            levels[word] = gap
        else:
            landmarks[word] = (row.perplexity_ratio, gap)
    return Tradeoff({}, dots={k: v for k, v in dots.items() if v}, landmarks=landmarks,
                    levels=levels)  # fmt: skip


REFERENCES = {
    "unsteered": "unsteered",
    "prompt": "instruction in the prompt",
    "aligned": "aligned checkpoint",
    "sham": "its sham (shuffled preferences)",
}
