"""Report of layer_sweep: which block is the best one under the ceiling, and what do nulls do there?

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


def summarize(rows: Sequence[Row], kept: Kept) -> Summary:
    """Per model and block the refusal gap by dose, and over each family of nulls at one dose.

    Metrics `block_<b>/gap`, `block_<b>/gap_over_<family>` with their ends, at the headline dose;
    `best_block`, `best_depth`, `best_dose` and `best_gap`, where any arm stays under the ceiling.
    """
    table = ArmTable(rows, kept)
    models = list(dict.fromkeys(r.target for r in rows))
    told = joined(
        part.under(f"{model}/" if len(models) > 1 else "")
        for model in models
        for part in [*(_block(b, table) for b in blocks_of(model, table)), _best(model, table)]
    )
    missed = dict.fromkeys(f"{r.target}: {why}" for r in rows for why in r.missed)
    return Summary(told.metrics, (*told.lines, *missed), (), ())


@dataclass(frozen=True)
class BlockArms:
    """The steered arms of one block of one model, by rising dose, and its null arms."""

    model: str
    block: int
    steered: tuple[Row, ...]
    nulls: dict[NullFamily, list[Row]]


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
    return BlockArms(model, block, tuple(steered), {f: some for f, some in nulls.items() if some})


def gap_of(row: Row, table: ArmTable[Row]) -> Interval:
    """The refusal gap of an arm with its interval over prompts."""
    return table.arm(row).refusals().interval


def _block(arms: BlockArms, table: ArmTable[Row]) -> Report:
    """One block: the gap by dose, and over nulls."""
    if not arms.steered:
        return Report({}, [f"{arms.model}, block {arms.block}: the vector reached no dose"])
    metrics: dict[str, float] = {}
    parts = [f"kl={r.dose:g} {gap_of(r, table):+.2f}{_over(r)}" for r in arms.steered]
    headline = next((r for r in arms.steered if r.at_headline), None)
    if headline is not None:
        metrics |= interval_metrics(f"block_{arms.block}/gap", gap_of(headline, table))
        for family, rows in arms.nulls.items():
            nulls = [a.refusals() for a in table.arms(rows)]
            over = table.arm(headline).refusals().over_random(nulls)
            if over is None:
                continue
            metrics |= interval_metrics(f"block_{arms.block}/gap_over_{family}", over.interval)
            parts.append(f"over {len(rows)} {FAMILY_WORDS[family]} {over.interval:+.2f}")
    depth = arms.steered[0].depth or 0.0
    line = f"{arms.model}, block {arms.block} (depth {depth:.2f}), selection split: refusal gap "
    return Report(metrics, [line + "; ".join(parts)])


def _over(row: Row) -> str:
    return f" (over the ceiling: {', '.join(row.over_ceiling)})" if row.over_ceiling else ""


def _best(model: str, table: ArmTable[Row]) -> Report:
    """The block and dose with the highest gap under the ceiling; the first of equal ones."""
    own = [r for r in table.where(target=model, arm="steered") if not r.over_ceiling]
    if not own:
        return Report({}, [f"{model}: no block keeps under the ceiling at any dose"])
    best = max(own, key=lambda r: r.refusal_unsafe - r.refusal_safe)
    gap = best.refusal_unsafe - best.refusal_safe
    metrics = {
        "best_block": float(best.layers[0]),
        "best_depth": best.depth or 0.0,
        "best_dose": best.dose or 0.0,
        "best_gap": gap,
    }
    line = (
        f"{model}: the highest gap under the ceiling is {gap:+.2f}, at block {best.layers[0]} "
        f"(depth {best.depth or 0.0:.2f}) and kl={best.dose:g}; chosen on these prompts, to be "
        "tried on others (same_arch --layers)"
    )
    return Report(metrics, [line])
