"""Null boards: how often does the board rank anything when every vector on it holds nothing?

Reads the stored rows of cross_arch, which have all families of nulls. Null arms that the whole
pipeline made of nothing stand in for vectors: for each target one direction of shuffled pairs as
its own vector, and as many directions through shuffled maps as there are other models, drawn at
random, each against all null arms that are left. A board of them holds nothing by construction, but
boards share their arms: a null direction that acts is on one of four.

    python -m docs.null_boards [BOARDS [TRAINING]]

TRAINING: an organisms' seed that `replication` measured; without it, what lies under results/.
"""

from __future__ import annotations

import sys
from collections.abc import Collection
from dataclasses import replace

import numpy as np

from mahals.harness.leaderboard.ranking import rank
from mahals.harness.workspace.artifacts import KeptFiles, KeptPlace
from mahals.harness.workspace.paths import Workspace
from mahals.harness.workspace.results import all_results
from mahals.phase import STUDY
from mahals.phases.cross_arch.rows import Row
from mahals.reporting.entries import entries
from mahals.reporting.evidence import ArmTable
from mahals.reporting.gains import gains_of
from mahals.schema import ArmRow, Entry, NullFamily

PHASE = "cross_arch"


def stored(training: int | None = None) -> ArmTable[ArmRow]:
    """The stored rows of trained targets, over all units of the phase; the newest of a training."""
    units: dict[str, tuple[tuple[Row, ...], KeptPlace]] = {}
    for each in sorted(all_results(Workspace.locate()), key=lambda r: r.run()["finished"]):
        if each.phase != PHASE or each.unit == STUDY or (training is None) != each.is_canonical:
            continue
        rows = each.rows()
        if training is None or {row.training for row in rows} == {training}:
            units[each.unit] = rows, each.kept()
    if not units:
        raise SystemExit(f"no stored {PHASE} of training {training}")
    trained = [row for unit, _ in units.values() for row in unit if row.target_role == "base"]
    return ArmTable[ArmRow](
        trained, KeptFiles(PHASE, {key: kept for key, (_, kept) in units.items()})
    )


class Board:
    """Boards of null arms at one dose; a stand-in against the same nulls is reckoned once."""

    def __init__(self, table: ArmTable[ArmRow], dose: float) -> None:
        self._table, self._dose = table, dose
        self._known: dict[tuple[object, ...], tuple[Entry, ...]] = {}

    def ranked(self, rng: np.random.Generator, crossings: int) -> int:
        """How many lines of a board are ranked."""
        found: list[Entry] = []
        counts: tuple[tuple[NullFamily, int], ...] = (
            ("shuffled_pairs", 1),
            ("shuffled", crossings),
        )
        for target in self._table.values_of("target"):
            for family, count in counts:
                arms = self._table.where(target=target, arm=family, dose=self._dose)
                draws = sorted(r.draw for r in arms if r.draw is not None)
                chosen = frozenset(rng.permutation(draws)[:count].tolist()) if count else ()
                for draw in sorted(chosen):
                    found += self._entry(target, family, draw, chosen)
        return len(rank(found).ranked)

    def _entry(
        self, target: str, family: NullFamily, draw: int, chosen: Collection[int]
    ) -> tuple[Entry, ...]:
        key = (target, family, draw, chosen)
        if key not in self._known:
            (arm,) = self._table.where(target=target, arm=family, dose=self._dose, draw=draw)
            left = [
                r
                for r in self._table.rows
                if r.target == target and not (r.arm == family and r.draw in chosen)
            ]
            row = replace(
                arm,
                arm="steered",
                draw=None,
                source=f"{family} {draw}",
                map="ridge" if family == "shuffled" else None,
                selection_gap=0.0,
                selection_over=(),
            )
            alone = self._table.over([row, *left])
            own = entries(self._table.over([row]), [gains_of(row, alone)], {})
            self._known[key] = tuple(e for e in own if e.configuration.arm == "steered")
        return self._known[key]


def main(boards: int, training: int | None = None) -> None:
    """Prints, for each dose, how many boards rank something, and how many single arms are."""
    table = stored(training)
    models = len(table.values_of("target"))
    draws = {r.draw for r in table.rows if r.arm == "shuffled"}
    for dose in sorted({r.dose for r in table.rows if r.arm == "steered" and r.map and r.dose}):
        board, rng = Board(table, dose), np.random.default_rng(0)
        counts = [board.ranked(rng, models - 1) for _ in range(boards)]
        print(
            f"kl={dose:g}: {sum(c > 0 for c in counts)} of {boards} boards rank something, "
            f"{max(counts, default=0)} lines at most, of {models * models}"
        )
        alone = [Board(table, dose).ranked(np.random.default_rng(k), 1) for k in range(15)]
        print(f"  of {15 * models * 2} arms, a pair a target and board: {sum(alone)} ranked")
    print(f"K = {len(draws)} of each family a target")


if __name__ == "__main__":
    main(*map(int, sys.argv[1:] or ["100"]))
