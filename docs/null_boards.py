"""Null boards: how often does the board rank anything when every vector on it holds nothing?

Reads the stored rows of same_arch and cross_arch. Of the null arms that the whole pipeline made
(directions of shuffled pairs, and directions through shuffled maps) some stand in for the vectors:
for each target one of an own vector and as many crossings as there are other models, drawn at
random, each against the null arms that are left. A board of them holds nothing by construction.

    python -m docs.null_boards [BOARDS]
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from mahals.harness.leaderboard.ranking import rank
from mahals.harness.workspace.artifacts import KeptFiles
from mahals.harness.workspace.paths import Workspace
from mahals.harness.workspace.results import all_results
from mahals.phase import STUDY
from mahals.reporting.entries import entries
from mahals.reporting.evidence import ArmEvidence, ArmTable
from mahals.reporting.gains import ArmGains, gains_over
from mahals.schema import ArmRow, Entry, NullFamily

FAMILIES: Mapping[NullFamily, str | None] = {"shuffled_pairs": None, "shuffled": "ridge"}


def table_of(phase: str) -> ArmTable[ArmRow]:
    """The stored rows of trained targets of a phase, over all its units."""
    units = [
        r
        for r in all_results(Workspace.locate())
        if r.phase == phase and r.unit != STUDY and r.is_canonical
    ]
    rows = [row for unit in units for row in unit.rows()]
    rows = [row for row in rows if getattr(row, "target_role", "base") == "base"]
    return ArmTable(rows, KeptFiles(phase, {unit.unit: unit.kept() for unit in units}))


def stand_ins(
    table: ArmTable[ArmRow], family: NullFamily, count: int, rng: np.random.Generator
) -> list[Entry]:
    """`count` null arms of each target as if they were vectors, against all the others."""
    found: list[Entry] = []
    for target in table.values_of("target"):
        arms = table.where(target=target, arm=family, at_headline=True)
        chosen = rng.permutation(len(arms))[:count]
        for number, place in enumerate(chosen):
            others = [a for i, a in enumerate(arms) if i not in set(chosen.tolist())]
            found += _entry(table, arms[place], others, f"null {number}")
    return found


def _entry(
    table: ArmTable[ArmRow], arm: ArmRow, others: Sequence[ArmRow], name: str
) -> tuple[Entry, ...]:
    row = replace(
        arm,
        arm="steered",
        draw=None,
        source=name,
        selection_gap=0.0,
        selection_over=(),
        dose_kind="kl",
    )
    nulls: dict[NullFamily, list[ArmEvidence]] = {
        "random": table.arms(table.random_of(arm)),
        "shuffled": table.arms(others),
    }
    base = table.arm(table.unsteered_of(arm))
    own: ArmGains[ArmRow] = replace(
        gains_over(replace(table.arm(arm), row=row), base, nulls, None), row=row
    )
    alone = ArmTable([row, table.unsteered_of(arm)], table.kept)
    return tuple(e for e in entries(alone, [own], {}) if e.configuration.arm == "steered")


def main(boards: int) -> None:
    """Prints how many boards rank something, and how many of all their lines."""
    rng = np.random.default_rng(0)
    sweep, moved = table_of("same_arch"), table_of("cross_arch")
    crossings = len(moved.values_of("target")) - 1
    ranked = lines = false = 0
    for _ in range(boards):
        found = stand_ins(sweep, "shuffled_pairs", 1, rng)
        found += stand_ins(moved, "shuffled", crossings, rng)
        board = rank(found)
        lines += len(board.lines)
        false += len(board.ranked)
        ranked += bool(board.ranked)
    print(f"{ranked} of {boards} boards rank something; {false} of {lines} lines are ranked")
    every = [stand_ins(moved, "shuffled", 1, np.random.default_rng(k)) for k in range(15)]
    one_each = sum(len(rank(some).ranked) for some in every)
    total = sum(len(some) for some in every)
    print(f"{one_each} of {total} arms through shuffled maps are ranked, a board a draw")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 100)
