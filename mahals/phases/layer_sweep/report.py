"""Report of layer_sweep: at which block does the vector do most beyond nulls, under the ceiling?

All of it is of the selection split: it chooses a block, and is no finding about one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from mahals.maths.stats.intervals import Interval
from mahals.phase import Kept, Summary
from mahals.phases.layer_sweep.rows import Row
from mahals.reporting.evidence import ArmTable
from mahals.reporting.headlines import FAMILY_WORDS
from mahals.reporting.report import Report, interval_metrics, joined
from mahals.schema import NullFamily

BOTH: frozenset[NullFamily] = frozenset(("random", "shuffled_pairs"))  # families of an own vector


def summarize(rows: Sequence[Row], kept: Kept) -> Summary:
    """Per model and block the refusal gap by dose, and at the headline dose over each null family.

    Metrics `block_<b>/gap` and `block_<b>/gap_over_<family>` with their ends, at the headline dose;
    `best_block`, `best_depth` and `best_gap_over_nulls` with its ends, where a block has one.
    """
    table = ArmTable(rows, kept)
    models = list(dict.fromkeys(r.target for r in rows))
    parts = []
    for model in models:
        blocks = blocks_of(model, table)
        said = joined([*(_report_block(b, table) for b in blocks), _best(model, blocks, table)])
        parts.append(said.under(f"{model}/" if len(models) > 1 else ""))
    told = joined(parts)
    missed = dict.fromkeys(f"{r.target}: {why}" for r in rows for why in r.missed)
    return Summary(told.metrics, (*told.lines, *missed), (), ())


@dataclass(frozen=True)
class BlockArms:
    """The steered arms of one block of one model, by rising dose, and its null arms."""

    model: str
    block: int
    depth: float
    steered: tuple[Row, ...]
    nulls: dict[NullFamily, list[Row]]

    @property
    def headline(self) -> Row | None:
        """The vector at the headline dose, if it reached it."""
        return next((r for r in self.steered if r.at_headline), None)


def blocks_of(model: str, table: ArmTable[Row]) -> list[BlockArms]:
    """The blocks of a model at which anything reached its dose, in order."""
    found: dict[int, list[Row]] = {}
    for row in table.where(target=model):
        if row.layers:
            found.setdefault(row.layers[0], []).append(row)
    return [_arms(model, block, rows) for block, rows in sorted(found.items())]


def _arms(model: str, block: int, rows: Sequence[Row]) -> BlockArms:
    steered = sorted((r for r in rows if r.arm == "steered"), key=lambda r: r.dose or 0.0)
    nulls = {family: [r for r in rows if r.arm == family] for family in FAMILY_WORDS}
    there = {family: some for family, some in nulls.items() if some}
    return BlockArms(model, block, next(r.depth for r in rows if r.depth), tuple(steered), there)


def gap_of(row: Row, table: ArmTable[Row]) -> Interval:
    """The refusal gap of an arm with its interval over prompts."""
    return table.arm(row).refusals().interval


def over_nulls(arms: BlockArms, table: ArmTable[Row]) -> dict[NullFamily, Interval]:
    """The gap at the headline dose less that of each family's null arms; empty without either."""
    if arms.headline is None:
        return {}
    own, found = table.arm(arms.headline).refusals(), {}
    for family, rows in arms.nulls.items():
        over = own.over_random([a.refusals() for a in table.arms(rows)])
        if over is not None:
            found[family] = over.interval
    return found


def _report_block(arms: BlockArms, table: ArmTable[Row]) -> Report:
    """One block: the gap by dose, and over nulls."""
    where = f"{arms.model}, block {arms.block} (depth {arms.depth:.2f}), selection split"
    if not arms.steered:
        return Report({}, [f"{where}: the vector reached no dose"])
    metrics: dict[str, float] = {}
    parts = [f"kl={r.dose:g} {gap_of(r, table):+.2f}{_marks(r)}" for r in arms.steered]
    if arms.headline is not None:
        metrics |= interval_metrics(f"block_{arms.block}/gap", gap_of(arms.headline, table))
    for family, over in over_nulls(arms, table).items():
        metrics |= interval_metrics(f"block_{arms.block}/gap_over_{family}", over)
        parts.append(f"over {len(arms.nulls[family])} {FAMILY_WORDS[family]} {over:+.2f}")
    return Report(metrics, [f"{where}: refusal gap {'; '.join(parts)}"])


def _marks(row: Row) -> str:
    """What the price of an arm says of it."""
    parts = []
    if row.over_ceiling:
        parts.append(f"over the ceiling: {', '.join(row.over_ceiling)}")
    if row.not_shown_safe:
        parts.append(f"not shown safe: {', '.join(row.not_shown_safe)}")
    return f" ({'; '.join(parts)})" if parts else ""


def _allowed(row: Row) -> bool:
    """Whether all bounds of the ceiling were measured and none is broken."""
    return not row.over_ceiling and None not in (row.perplexity_ratio, row.safe_accuracy)


def _best(model: str, blocks: Sequence[BlockArms], table: ArmTable[Row]) -> Report:
    """The block whose gap over the harder family is highest at the headline dose.

    Among those whose price there was measured and broke no bound; the first of equal ones.
    """
    found: list[tuple[BlockArms, Interval]] = []
    for b in blocks:
        gains = over_nulls(b, table)
        if b.headline is not None and set(gains) >= BOTH and _allowed(b.headline):
            found.append((b, min(gains.values(), key=lambda i: i.estimate)))
    if not found:
        why = "no block has a gap over both families and a price that is measured and not over it"
        return Report({}, [f"{model}: none is best: {why}"])
    safe = sum(b.headline is not None and not b.headline.not_shown_safe for b, _ in found)
    best, over = max(found, key=lambda each: each[1].estimate)
    metrics = {"best_block": float(best.block), "best_depth": best.depth}
    line = (
        f"{model}: of {len(found)} blocks that are not over the ceiling ({safe} shown to be under "
        f"it) the gap over the harder nulls is highest at block {best.block} (depth "
        f"{best.depth:.2f}), {over:+.2f}: the highest of several, chosen on these prompts, to be "
        "tried on others (same_arch --layers)"
    )
    return Report(metrics | interval_metrics("best_gap_over_nulls", over), [line])
