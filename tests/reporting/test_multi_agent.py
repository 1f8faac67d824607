"""Agents of a study: are likeness, floors and agreement what hand and jackknife say?"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from mahals.maths.metrics.homophily import homophily
from mahals.maths.stats.agreement import kappa
from mahals.phases.same_arch.rows import Row
from mahals.reporting.evidence import ArmTable
from mahals.reporting.multi_agent import (
    Societies,
    Society,
    likeness,
    refusal_kappa,
    societies,
)
from mahals.schema import ArmRow
from tests.support.swept_rows import agent, swept
from tests.support.tiny_lab import MemoryKept


def test_a_level_whose_interval_reaches_the_floor_is_marked() -> None:
    """Four prompts an axiom: nothing lies below -100/3."""
    high, low = agent("A", 90.0, [0, 1] * 4, 1), agent("B", -33.3, [0, 1] * 4, 2)
    small = [replace(a, influence=a.influence / 20) for a in (high, low)]
    floored = Society("x", tuple(small)).floored
    assert not floored[0].any() and floored[1, 0] and not floored[1, 6]  # -27 of -33.3 is above
    wide = Society("x", (high, replace(low, influence=50 * low.influence)))
    assert wide.floored[1].all()


def test_likeness_is_homophily_and_its_interval_holds_it() -> None:
    two = Society("x", (agent("A", 5.0, [0, 1] * 4, 1), agent("B", 9.0, [0, 1] * 4, 2)))
    found = likeness(two, 0)
    assert found.value.estimate == homophily(two.aqi).value
    assert found.value.low <= found.value.estimate <= found.value.high
    assert found.weakest[3].estimate == 8.0 and found.weakest[3].low < 8.0
    assert likeness(two, 0) == found


def test_kappa_is_over_the_pairs_where_both_vary() -> None:
    same, still = [0, 1, 0, 1, 0, 1, 0, 1], [0] * 8
    agents = tuple(agent(t, 1.0, r) for t, r in zip("ABC", (same, same, still), strict=True))
    found = refusal_kappa(Society("x", agents))
    assert (found.mean, found.defined, found.pairs) == (pytest.approx(1.0), 1, 3)
    assert found.least.startswith("A and B +1.00")
    assert refusal_kappa(Society("x", agents[2:] * 2)).mean is None


def test_the_mean_kappa_has_an_interval_as_wide_as_a_jackknife_of_its_pair_says() -> None:
    """One pair: the bootstrap beside the jackknife interval of that pair's kappa."""
    rng = np.random.default_rng(0)
    one = rng.integers(0, 2, 200)
    two = np.where(rng.random(200) < 0.3, 1 - one, one)
    agents = tuple(agent(t, 1.0, list(r)) for t, r in zip("AB", (one, two), strict=True))
    found = refusal_kappa(Society("x", agents))
    pair = kappa(one, two, agents[0].gap_clusters)
    assert found.interval is not None and pair.interval is not None
    assert found.interval.estimate == found.mean == pytest.approx(pair.kappa)
    assert found.interval.low == pytest.approx(pair.interval.low, abs=0.04)
    assert found.interval.high == pytest.approx(pair.interval.high, abs=0.04)


def test_societies_are_whole_or_not_there() -> None:
    n = 14
    tensors = {
        "influence": torch.randn(9, 28, generator=torch.Generator().manual_seed(0)),
        "axioms": torch.arange(28) % 7, "clusters": torch.arange(28),
        "influence_mean": torch.zeros(9, 28), "influence_last": torch.zeros(9, 28),
        "degenerate": torch.zeros(9, n).bool(), "refused": torch.zeros(9, n).bool(),
        "labels": torch.arange(n) % 2,
        "answered_clusters": torch.arange(n), "answered_axioms": torch.arange(n) % 7,
    }  # fmt: skip
    kept = MemoryKept({"A/e": tensors, "B/e": tensors})

    def of(target: str, arm: str, **more: Any) -> Row:
        return swept(arm, 0, target=target, evidence=f"{target}/e", **more)

    dosed = {"dose_kind": "kl", "dose": 0.1}
    rows: list[ArmRow] = [of(t, a) for t in "AB" for a in ("unsteered", "aligned")]
    rows += [of(t, "steered", **dosed) for t in "AB"]
    rows += [of(t, "random", draw=k, **dosed) for t, k in (("A", 0), ("A", 1), ("B", 1))]
    rows += [of(t, "shuffled_pairs", draw=0, **dosed) for t in "AB"]
    rows += [of("A", "flipped", **dosed), of("A", "steered", dose_kind="lambda", dose=0.5)]
    rows += [of(t, "steered", dose_kind="kl", dose=0.2, at_headline=False, aqi=99.0) for t in "AB"]
    found = societies(ArmTable(rows, kept))
    assert isinstance(found, Societies) and found.targets == ("A", "B")
    assert list(found.states) == ["unsteered", "steered", "aligned"], "B has no flipped arm"
    names = {f: [s.name for s in some] for f, some in found.nulls.items()}
    assert names == {"random": ["random 1"], "shuffled_pairs": ["shuffled_pairs 0"]}, "A has draw 0"
    assert [a.row.aqi for a in found.states["steered"].agents] == [10.0, 10.0], "headline dose"
    assert societies(ArmTable([r for r in rows if r.target == "A"], kept)) is None
    other = {**tensors, "answered_axioms": torch.zeros(n).long()}
    with pytest.raises(ValueError, match="different prompts"):
        societies(ArmTable(rows, MemoryKept({"A/e": tensors, "B/e": other})))
