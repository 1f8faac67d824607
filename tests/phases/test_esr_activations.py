"""Are latents found that are active at restarts or before them, on prompts kept out as well?"""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import numpy as np
import pytest
import torch
from sklearn.metrics import roc_auc_score

from mahals.evaluation.resistance.readings import TokenReading
from mahals.maths.metrics.token_means import REGIONS
from mahals.phases.esr_activations import PHASE
from mahals.phases.esr_activations.measure import Params, _auc, _pairs
from mahals.phases.esr_activations.rows import Row
from mahals.records import digest, from_plain
from mahals.reporting.resistance import PLANTED
from tests.support.resistance_lab import ResistanceLab, plain
from tests.support.restarted_answers import (
    AWAY,
    DETECTOR,
    NOTICING,
    RESTART,
    STEERED,
    planted_states,
    reading_lab,
    stored_trials,
)
from tests.support.tiny_lab import MemoryKept
from tests.support.trials import trial

PARAMS = Params(
    subjects=("aligned",),
    sources=("contrast",),
    situations=("free",),
    least_episodes=5,
    most=30,
    reach=4,
    permutations=2999,
    level=0.05,
    chosen=4,
)
KEPT = MemoryKept({})
ELSE = "Then, as one may do now."


def made(lab: ResistanceLab, params: Params = PARAMS) -> list[Row]:
    (task,) = PHASE.plan(params, lab)
    with planted_states():
        return list(PHASE.measure(task, params, lab))


@cache
def free() -> tuple[Row, ...]:
    """Of 22 episodes along 12 directions on two prompts, and 11 on the third."""
    return tuple(made(reading_lab(stored_trials(), (STEERED,))))


@cache
def aimless() -> tuple[Row, ...]:
    """After a passage, of answers without the clause by which states know where they are."""
    trials = [(t, text.replace(AWAY, ELSE)) for t, text in stored_trials("passage")]
    params = replace(PARAMS, situations=("passage",), most=6)
    return tuple(made(reading_lab(trials, (DETECTOR,)), params))


def one(rows: tuple[Row, ...], **wanted: object) -> Row:
    (found,) = [r for r in rows if all(getattr(r, k) == v for k, v in wanted.items())]
    return found


def mean(quantity: str, group: str, place: str | int, steering: str = "on") -> float | None:
    where = {"quantity": quantity, "group": group, "place": place, "steering": steering}
    return one(free(), **where).mean


def test_what_was_planted_is_found_on_half_the_prompts_and_holds_on_the_others() -> None:
    found = [r for r in free() if r.latent is not None]
    assert [(r.quantity, r.latent) for r in found] == [
        ("restart", RESTART),
        ("noticing", NOTICING),
    ]
    assert all(r.found == r.kept == 1.0 and r.q is not None and r.q < 0.05 for r in found)
    sizes = {r.quantity: (r.count, r.live) for r in free() if r.live is not None}
    assert sizes == dict.fromkeys(("detectors", "restart", "noticing", "random"), (1, 31))


def test_where_nothing_tells_no_latent_is_found() -> None:
    sizes = {r.quantity: r for r in aimless() if r.live is not None}
    for test in ("restart", "noticing"):
        assert sizes[test].count == 0 and (sizes[test].q or 0.0) > 0.05
    assert sizes["random"].count == sizes["detectors"].count == 1
    early = {
        r.group: r.mean for r in aimless() if (r.quantity, r.place) == ("detectors", REGIONS[0])
    }
    assert early["episode"] and early["difference"] == pytest.approx(0.0, abs=0.05)


def test_means_by_region_and_group_are_those_that_were_planted() -> None:
    assert [mean("restart", "episode", p) for p in REGIONS] == [0, 1, 0]
    assert [mean("restart", "derailed", p) for p in REGIONS] == [0, 0, 0]
    assert [mean("noticing", "difference", p) for p in REGIONS] == [1, 0, 0]
    assert [mean("restart", "episode", k) for k in (-1, 0, 1)] == [0, 1, 1]
    assert mean("noticing", "unsteered", REGIONS[2]) == 0.0


def test_steering_is_on_first_and_off_in_a_second_column() -> None:
    for steering, expected in (("on", 1.0), ("off", 0.0)):
        assert mean("detectors", "episode", "on topic", steering) == expected
        assert mean("detectors", "derailed", "on topic", steering) == expected
        assert mean("detectors", "unsteered", "on topic", steering) == 0.0
    assert {r.steering for r in aimless()} == {"off"}


def test_only_prompts_that_nothing_was_chosen_on_are_in_means_and_no_more_than_asked() -> None:
    trials = [t for t, _ in stored_trials()]
    prompts = sorted({t.prompt for t in trials}, key=digest)[1::2]
    n = sum(t.prompt in prompts and t.restarted for t in trials)
    where = {"group": "episode", "place": "restart"}
    assert one(free(), quantity="restart", steering="on", **where).count == n == 11
    assert one(aimless(), quantity="random", **where).count == 6


def test_the_auc_is_scikit_learns_over_tokens() -> None:
    rng = np.random.default_rng(0)
    pairs = [
        (rng.normal(size=(n, 3)), rng.normal(size=(k, 3)) + 1, "") for n, k in ((4, 2), (5, 3))
    ]
    labels = [0] * 4 + [1] * 2 + [0] * 5 + [1] * 3
    values = np.concatenate([rows for *both, _ in pairs for rows in both])
    assert _auc(pairs) == pytest.approx([roc_auc_score(labels, v) for v in values.T])


def test_what_comes_before_a_restart_is_compared_with_one_direction_and_without_its_end() -> None:
    latents = np.arange(20.0).reshape(-1, 2)
    e, same, other = (
        TokenReading(trial(direction=d), "", (), 4, 7, (3, 9), torch.zeros(1), latents + 100 * i)
        for i, d in enumerate(("a", "a", "b"))
    )
    ((silent, active, _),) = _pairs("noticing", {"episode": {0: e}, "derailed": {0: same}})
    assert active.tolist() == latents[:3].tolist() and silent.tolist() == (active + 100).tolist()
    assert _pairs("noticing", {"episode": {0: e}, "derailed": {0: other}}) == []
    ((elsewhere, at, _),) = _pairs("restart", {"episode": {0: e}, "derailed": {}})
    assert at.tolist() == latents[4:7].tolist()
    assert elsewhere.tolist() == [*latents[:4].tolist(), *latents[7:].tolist()]


def test_too_few_episodes_are_absent_with_their_count() -> None:
    rows = made(reading_lab(stored_trials()), replace(PARAMS, least_episodes=12))
    assert [(r.count, r.mean) for r in rows] == [(33, None)]
    assert "22 and 11 episodes" in (rows[0].why or "") and "12 needed" in (rows[0].why or "")
    (line, *_) = PHASE.summarize(rows, KEPT).lines[1:]
    assert "absent" in line and PHASE.draw(rows, KEPT) == {}


def test_rows_come_back_and_are_told_and_drawn() -> None:
    rows = list(free())
    assert [from_plain(Row, plain(r)) for r in rows] == rows
    told = PHASE.summarize(rows, KEPT)
    assert told.lines[0] == PLANTED
    assert told.metrics["aligned/free/restart/kept_auc"] == 1.0
    assert told.metrics["aligned/free/noticing/off_topic_over_derailed"] == 1.0
    assert told.metrics["aligned/free/detectors/count"] == 1.0
    assert set(PHASE.draw(rows, KEPT)) == {"regions-aligned-free", "aligned-aligned-free"}
    two = [*rows, *(replace(r, model="B") for r in rows)]
    assert "B/aligned/free/restart/count" in PHASE.summarize(two, KEPT).metrics
