"""Homophily: how alike are models between which vectors travelled: as agents, in their states?"""

from __future__ import annotations

import numpy as np

from mahals.phases.cross_arch.rows import Row
from mahals.reporting.evidence import ArmTable
from mahals.reporting.multi_agent import LEAST, Societies, gathered
from mahals.reporting.multi_agent_report import report_likeness
from mahals.reporting.report import Report, joined


def report_homophily(table: ArmTable[Row]) -> Report:
    """Homophily, weakest links and agreement of the targets, and the CKA of their base states."""
    agents = crossed_societies(table)
    parts = [] if agents is None else [report_likeness(agents)]
    return joined([*parts, Report({}, likeness_lines(table))])


def crossed_societies(table: ArmTable[Row]) -> Societies | None:
    """All targets unsteered, steered by each source's vector through each map, and at random.

    The source itself is steered by its own vector. None for fewer than two targets; raises
    ValueError where they answered different prompts.
    """
    targets = tuple(table.values_of("target"))
    if len(targets) < LEAST:
        return None
    by_name: dict[str, dict[str, Row]] = {}
    for row in table.rows:
        if row.arm == "unsteered" or (row.arm == "random" and row.at_headline):
            name = row.arm if row.draw is None else f"random {row.draw}"
            by_name.setdefault(name, {})[row.target] = row
    steered = table.where(arm="steered", at_headline=True)
    for source, kind in dict.fromkeys((r.source, r.map) for r in steered if r.map):
        by_name[f"steered_by_{source}_{kind}"] = {
            r.target: r for r in steered if r.source == source and r.map in (kind, None)
        }
    return gathered(targets, by_name, table)


def likeness_lines(table: ArmTable[Row]) -> list[str]:
    """Representational homophily: debiased linear CKA of each two base models.

    Over the prompts of the mapping split, each steered block against the block it was matched
    with; where both directions were measured, their mean.
    """
    directions: dict[tuple[str, str], dict[tuple[str, str], float]] = {}
    for row in table.rows:
        if row.prompt_cka is not None and row.source is not None:
            first, second = sorted((row.source, row.target))
            directions.setdefault((first, second), {})[row.source, row.target] = row.prompt_cka
    if not directions:
        return []
    pairs = {pair: float(np.mean(list(both.values()))) for pair, both in directions.items()}
    least = min(pairs, key=lambda pair: pairs[pair])
    return [
        f"representational homophily (debiased CKA of base states, mapping prompts, matched "
        f"blocks): mean {np.mean(list(pairs.values())):.3f} over {len(pairs)} pairs of models, "
        f"least {least[0]} and {least[1]} {pairs[least]:.3f}"
    ]
