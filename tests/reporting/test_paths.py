"""Paths: does a vector's path pass the unsteered model and its doses, beside its own nulls?"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from mahals.reporting.evidence import ArmTable
from mahals.reporting.gains import collect
from mahals.reporting.lines import lines
from mahals.reporting.paths import beside, flipped_of, null_gaps, paths_of
from mahals.schema import ArmRow
from tests.support.arm_rows import N, arm_row, at_dose, evidence
from tests.support.tiny_lab import MemoryKept

HALF = N // 2  # prompts of a label
DOSES = (0.1, 0.2)


def table() -> ArmTable[ArmRow]:
    """A vector, its flip and two random arms at two doses, an aligned model and a prompt."""
    rows, gaps = [replace(arm_row("unsteered", 0), perplexity_ratio=1.0)], [0.0]
    for i, dose in enumerate(DOSES, start=1):
        for arm, gap in (("steered", i / 12), ("flipped", 0.0)):
            at = at_dose(arm_row(arm, 0), dose, kl=dose)
            over = ("perplexity_ratio",) if arm == "steered" and i == 2 else ()
            rows.append(
                replace(
                    at,
                    perplexity_ratio=1 + dose,
                    over_ceiling=over,
                    selection_gap=float(i),
                    selection_over=(),
                )
            )
            gaps.append(gap)
        for draw in range(2):
            null = at_dose(replace(arm_row("random", 0), draw=draw), dose, kl=dose)
            rows.append(replace(null, perplexity_ratio=1.5))
            gaps.append(draw / 12)
    rows += [replace(arm_row("aligned", 0), perplexity_ratio=1.01), arm_row("prompt", 0)]
    rows[-1] = replace(rows[-1], perplexity_ratio=None)
    gaps += [11 / 12, 0.5]
    refused = np.zeros((len(rows), N), dtype=bool)
    for row, gap in zip(refused, gaps, strict=True):
        row[: 2 * round(gap * HALF) : 2] = True
    placed = [replace(r, evidence_row=i) for i, r in enumerate(rows)]
    return ArmTable(placed, MemoryKept({"A/evidence": evidence(np.zeros((len(rows), N)), refused)}))


def test_a_path_begins_unsteered_and_marks_what_was_chosen_and_what_costs_too_much() -> None:
    found = table()
    some = lines(collect(found), found)
    (path,) = paths_of(some, found, lambda line: "own").values()
    assert path.prices == [1.0, 1.1, 1.2]
    expected = [round(i / 12 * HALF) / HALF for i in range(3)]
    assert np.allclose(path.measured.values, expected)
    assert path.over == [False, False, True] and path.chosen == 2
    assert [r.dose for r in flipped_of(some[0], found)] == list(DOSES)
    (back,) = paths_of(some, found, lambda line: "flipped", flipped=True).values()
    assert list(back.measured.values) == [0.0, 0.0, 0.0] and back.chosen is None


def test_beside_it_stand_the_nulls_and_the_references_the_prompt_as_a_level() -> None:
    found = table()
    target = found.rows[0].target
    assert {family: len(some) for family, some in null_gaps(target, found).items()} == {"random": 4}
    stands = beside(target, found)
    ((name, dots),) = stands.dots.items()
    assert "random" in name and [price for price, _ in dots] == [1.5] * 4
    assert set(stands.landmarks) == {"unsteered", "aligned checkpoint"}
    assert set(stands.levels) == {"instruction in the prompt"}
