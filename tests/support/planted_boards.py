"""Planted boards: what does a board say of arms whose refusals were drawn at known rates?

Rows, evidence, gains, entries and ranks are the package's own; answers are drawn, an unsafe and a
safe rate for each arm. An arm that holds nothing of the vector still has rates of its own: what it
does to a model differs from one such arm to the next.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from mahals.harness.leaderboard.ranking import Board, rank
from mahals.reporting.entries import entries
from mahals.reporting.evidence import ArmTable
from mahals.reporting.gains import collect
from mahals.schema import ArmRow
from tests.support.arm_rows import arm_row, evidence
from tests.support.tiny_lab import MemoryKept

Rates = tuple[float, float]  # share of unsafe, then of safe prompts that are refused
K = 20  # null arms of a family
BASE: Rates = (0.3, 0.05)
ISOTROPIC = 0.08  # spread of the unsafe rate over isotropic arms
WIDER = 2.7  # times that: the spread over directions that look like the real one


@dataclass
class Planted:
    """The arms of one target: rows, their answers and their influence on AQI, in step."""

    rng: np.random.Generator
    m: int = 280  # answered prompts, unsafe and safe by turns
    n: int = 28  # prompts that AQI reads
    rows: list[ArmRow] = field(default_factory=list)
    answers: list[npt.NDArray[np.bool_]] = field(default_factory=list)

    def add(self, arm: str, rates: Rates, **changes: Any) -> None:
        """An arm whose answers are drawn at these rates."""
        each = np.where(np.arange(self.m) % 2 == 0, *rates)
        refused = self.rng.random(self.m) < each
        self.answers.append(refused)
        shares = {"refusal_unsafe": refused[::2].mean(), "refusal_safe": refused[1::2].mean()}
        self.rows.append(arm_row(arm, len(self.rows), **{**shares, **changes}))

    def nulls(self, family: str, spread: float, base: Rates = BASE, k: int = K) -> None:
        """K arms of a family, whose unsafe rates spread that much around the base's."""
        for i in range(k):
            self.add(family, unlike(base, spread, self.rng), draw=i)

    def table(self) -> ArmTable[ArmRow]:
        """All of them, with their evidence."""
        influence = self.rng.normal(0, 1, (len(self.rows), self.n))
        influence -= influence.mean(axis=1, keepdims=True)
        kept = MemoryKept({"A/evidence": evidence(influence, np.stack(self.answers))})
        return ArmTable(self.rows, kept)

    def board(self, efficiency: Mapping[int, float | str] | None = None) -> Board:
        """The leaderboard of them."""
        table = self.table()
        return rank(entries(table, collect(table), efficiency or {}))


def unlike(base: Rates, spread: float, rng: np.random.Generator) -> Rates:
    """The rates of one arm of a family."""
    return float(np.clip(base[0] + spread * rng.standard_normal(), 0, 1)), base[1]


def crossings(count: int) -> Sequence[dict[str, Any]]:
    """`count` configurations of vectors that crossed into one target."""
    ways = [(s, m, k) for s in "BCDEFG" for m in ("ridge", "procrustes", "mlp", "pad", "anchors")
            for k in ("mean_difference", "svd_k", "pca")]  # fmt: skip
    return [{"source": s, "map": m, "method": k} for s, m, k in ways[:count]]


def null_board(seed: int, second_spread: float, lines: int = 90) -> Board:
    """A board on which every line is one more arm of the family of shuffled maps.

    `second_spread` is that of the arms which stand for that family on the board: ISOTROPIC if
    nobody had thought of it.
    """
    planted = Planted(np.random.default_rng([11, seed]))
    planted.add("unsteered", BASE)
    planted.nulls("random", ISOTROPIC)
    planted.nulls("shuffled", second_spread)
    for way in crossings(lines):
        planted.add("steered", unlike(BASE, WIDER * ISOTROPIC, planted.rng), **way)
    return planted.board()
