"""Does the phase measure games as by hand, with random games, and say what it cannot know?"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import replace
from itertools import product
from typing import Any

import numpy as np
import pytest
import torch

from mahals.cli import main
from mahals.data.texts import AXIOMS
from mahals.evaluation.agents.after_talk import questions
from mahals.evaluation.agents.openings import dilemmas
from mahals.evaluation.agents.teams import How
from mahals.evaluation.transfer.best_source import Crossing
from mahals.maths.games.payoffs import Weights
from mahals.maths.games.solvers import Search
from mahals.maths.metrics.aqi import model_aqi
from mahals.maths.metrics.homophily import homophily
from mahals.models.activations.capture import capture
from mahals.models.conversation.after import encode_after
from mahals.models.conversation.talks import Agent, TalkSchedule, read_talks
from mahals.models.conversation.views import view
from mahals.models.generation.price import neutral_price
from mahals.models.steering.interventions import Arm
from mahals.phases.equilibrium import PHASE
from mahals.phases.equilibrium.measure import Params, Payoff, Solvers, Task, foretell
from mahals.phases.equilibrium.measure import play as playing
from mahals.phases.equilibrium.measure.play import Action, GameDesign
from mahals.phases.equilibrium.report.games import cells_of, over_random, read
from mahals.phases.equilibrium.rows import NAMES, Row, Rules
from mahals.records import canonical, from_plain
from mahals.reporting.evidence import Evidence
from mahals.reporting.plots.sheet import png
from tests.support.places import ROOT
from tests.support.tiny_lab import SUITE, TinyLab, lab_with_vectors, prompts, refused
from tests.support.tiny_models import LAYERS

CROSSING = Crossing("best", "ridge", "relative_depth")
PARAMS = Params(
    agents=2,
    doses=(0, 1),
    sources=("own",),
    crossing=CROSSING,
    topology="pair",
    rounds=1,
    max_new_tokens=2,
    loop=0,
    conversations=3,
    prompts=2,
    pool="mean",
    draws=2,
    budget=9,
    method="mean_difference",
    layers="auto",
    operator="add",
    payoff=Payoff(1.0, 1.0, 1.0, 4.0),
    factors=(0.0, 1.0),
    redraws=20,
    solvers=Solvers(60.0, 4, False),
    suite=replace(SUITE, dose_kl=0.01),
)
SEARCH = Search(60.0, 4, 0, False)


@pytest.fixture(autouse=True)
def no_solver(monkeypatch: pytest.MonkeyPatch) -> None:
    """Solvers have tests of their own; here they are as if they were not installed."""
    monkeypatch.setattr("mahals.maths.games.solvers.installed", lambda library: False)


@pytest.fixture(scope="module")
def lab() -> TinyLab:
    return lab_with_vectors("study")


@pytest.fixture(scope="module")
def rows(lab: TinyLab) -> list[Row]:
    return [r for t in PHASE.plan(PARAMS, lab) for r in PHASE.measure(t, PARAMS, lab)]


# The plan


def test_every_joint_action_is_a_task_and_the_cost_is_known_before() -> None:
    found = PHASE.plan(PARAMS, TinyLab())
    assert [t.joint for t in found] == [(0, 0), (0, 1), (1, 0), (1, 1)]
    assert found[0] == Task(("A", "B"), (0, 0))
    said = foretell(PARAMS, ("A", "B", "C"), 0)
    assert "4 of 4 joint actions (100%, full factorial)" in said
    assert "10 tables" in said and "30 conversations" in said  # 4, and 2 draws of 3 steered ones


def test_three_agents_may_be_sampled() -> None:
    three = replace(PARAMS, agents=3, topology="ring", budget=7)
    found = PHASE.plan(three, TinyLab())
    assert len(found) == 7 and all(len(t.joint) == 3 for t in found)
    assert "7 of 8 joint actions (88%, sample with an additive fit)" in foretell(three, "ABC", 0)


def test_a_dry_run_says_it(capsys: pytest.CaptureFixture[str], monkeypatch: Any) -> None:
    monkeypatch.chdir(ROOT)
    assert main(["run", "equilibrium", "--dry-run", "--overlay", "smoke"]) == 0
    assert "4 of 4 joint actions (100%, full factorial), 10 tables" in capsys.readouterr().out


@pytest.mark.parametrize(
    "bad",
    [
        {"agents": 1},
        {"agents": 9, "topology": "ring"},
        {"doses": ()},
        {"doses": (0.5, 0.5)},
        {"doses": (-1.0, 0.0)},
        {"sources": ("own", "own")},
        {"sources": (), "doses": (1.0,)},
        {"draws": 1},
        {"conversations": 1},
        {"prompts": 1},
        {"redraws": 1},
        {"factors": (0.5,)},
        {"budget": 3},
        {"payoff": Payoff(1.0, 1.0, -1.0, 4.0)},
        {"payoff": Payoff(1.0, 1.0, 1.0, 0.0)},
    ],
)
def test_what_makes_no_game(bad: dict[str, Any]) -> None:
    assert refused(lambda: PHASE.plan(replace(PARAMS, **bad), TinyLab()))


# The rows


def test_a_cell_by_hand(rows: list[Row], lab: TinyLab) -> None:
    """From the kept transcript, each whole text read alone without any cache."""
    talks = read_talks(lab.texts["0-1.own.talks.jsonl"])
    row = one(rows, joint=(0, 1), draw=None, agent="A")
    chosen = [p for a in AXIOMS for v in (1, 0) for p in _cell(a, v)[:2]]
    agent = Agent("A", lab.load("A", "base"), Arm("unsteered", ()))
    encoded = encode_after(agent, view(talks[2], 0), [p.text for p in chosen])
    states = capture(agent.loaded, encoded, [LAYERS - 1], "mean")[:, 0].double().numpy()
    by_hand = model_aqi(states, [p.label for p in chosen], [p.axiom for p in chosen], None)
    kept = lab.files[row.kept][row.cell].numpy()
    assert kept.shape == (3, 7)
    assert kept[2] == pytest.approx([a.aqi.estimate for a in by_hand.axioms], abs=1e-3)
    assert row.value == pytest.approx(kept.mean())


def _cell(axiom: str, label: int) -> list[Any]:
    return [p for p in prompts("evaluation") if (p.axiom, p.label) == (axiom, label)]


def one(rows: list[Row], **wanted: Any) -> Row:
    (found,) = [r for r in rows if all(getattr(r, k) == v for k, v in wanted.items())]
    return found


def test_every_steered_cell_has_its_random_games(rows: list[Row]) -> None:
    for joint in product((0, 1), repeat=2):
        draws = {r.draw for r in rows if r.kind == "table" and r.joint == joint}
        assert draws == ({None} if joint == (0, 0) else {None, 0, 1})
    assert sum(r.kind == "design" for r in rows) == 1
    steered = one(rows, kind="agent", joint=(1, 0), draw=None, agent="A")
    beside = one(rows, kind="agent", joint=(1, 0), draw=None, agent="B")
    random = one(rows, kind="agent", joint=(1, 0), draw=0, agent="A")
    assert (steered.source, beside.source, random.source) == ("A", None, None)
    assert (steered.action, beside.action) == ("own 0.01", "none") and beside.kl == 0.0
    assert all(0.003 < r.kl < 0.03 for r in (steered, random))  # the dose, on other texts
    assert steered.value != random.value


@pytest.mark.parametrize("joint", [(0, 0), (0, 1), (1, 1)])
def test_every_joint_action_reads_a_prompt_in_a_batch_as_alone(
    lab: TinyLab, monkeypatch: pytest.MonkeyPatch, joint: tuple[int, ...]
) -> None:
    unmasked = "mahals.models.conversation.after.pooled"  # padding gets a weight
    monkeypatch.setattr(unmasked, lambda states, batch, pool: states.mean(dim=1))
    with pytest.raises(RuntimeError, match=r"A, .* between its batch of \d+ and alone"):
        list(PHASE.measure(Task(("A", "B"), joint), PARAMS, lab))


@pytest.mark.parametrize(("joint", "model"), [((0, 1), "B"), ((1, 0), "A")])
def test_every_agent_that_steers_is_itself_at_strength_0(
    lab: TinyLab, monkeypatch: pytest.MonkeyPatch, joint: tuple[int, ...], model: str
) -> None:
    """Planted: strength 0 acts as strength .5."""
    planted = property(lambda arm: tuple(replace(s, strength=s.strength or 0.5) for s in arm.steps))
    monkeypatch.setattr(Arm, "active", planted)
    with pytest.raises(RuntimeError, match=f"{model}, .*: strength 0 changed a state"):
        list(PHASE.measure(Task(("A", "B"), joint), PARAMS, lab))


def test_likeness_and_cells_are_those_of_the_rows(rows: list[Row], lab: TinyLab) -> None:
    found = read(Evidence(rows, lab.kept("equilibrium"))).measured
    assert found is not None and set(found.random) == {0, 1}
    assert found.random[0][0, 0].aqi.tolist() == found.cells[0, 0].aqi.tolist()
    table = one(rows, kind="table", joint=(1, 1), draw=1)
    cell = found.random[1][1, 1]
    assert table.value == pytest.approx(homophily(cell.aqi.mean(axis=0)).value)
    assert sum(table.stops) == 3 and cell.kl.shape == (3, 2)


def test_rows_come_back_from_json(rows: list[Row]) -> None:
    assert [from_plain(Row, json.loads(canonical(r)), "row") for r in rows] == rows


@pytest.mark.slow
def test_what_a_run_says(rows: list[Row], lab: TinyLab) -> None:
    found = PHASE.summarize(rows, lab.kept("equilibrium"))
    assert all(re.fullmatch(r"[\w\-. :/]+", name) for name in found.metrics)  # as MLflow wants
    assert {f"{name}/pure" for name in ("all", *NAMES)} <= set(found.metrics)
    text = "\n".join(found.lines)
    for words in ("no evidence", "leads", "price of anarchy", "replicator", "random game 1",
                  "is not installed", "no potential explains"):  # fmt: skip
        assert words in text
    assert "all/A/payoff_over_random_low" in found.metrics
    drawn = PHASE.draw(rows, lab.kept("equilibrium"))
    assert set(drawn) == {
        "payoffs", "payoffs_random", "over_random", "stability", "portrait",
    }  # fmt: skip
    assert all(png(figure)[:4] == b"\x89PNG" for figure in drawn.values())


def test_another_models_vector_is_an_action(lab: TinyLab) -> None:
    how = How("mean_difference", "auto", "add", 2, PARAMS.suite)
    about = questions(lab, 2, 0, PARAMS.suite)
    openings = tuple(dilemmas(lab.prompts("selection"), 2, 2, 0))
    act = Action("transferred", 0.01)
    game = GameDesign((act,), how, CROSSING, about, TalkSchedule("pair", 1, 2, 0), openings)
    found = playing._choice(lab, "A", act, game)
    assert found.source in ("B", "C") and set(found.arms) == {None, 0, 1}
    none = replace(game, crossing=replace(CROSSING, source="none"))
    gone = playing._choice(lab, "A", act, none)
    assert None not in gone.arms and "crossing.source is none" in gone.missed[0]


def test_the_price_is_the_kl_on_neutral_text(rows: list[Row], lab: TinyLab) -> None:
    """The same arm priced again from its parts."""
    from mahals.evaluation.agents.teams import steerable
    from mahals.evaluation.dose import within_reach

    found = steerable(lab, "B", How("mean_difference", "auto", "add", 2, PARAMS.suite))
    arm = within_reach(found.at, found.directions[:1], 0.01).dosed[0].arm
    again = float(neutral_price(found.at.loaded, found.at.neutral, [arm]).kl[0])
    assert one(rows, kind="agent", joint=(0, 1), draw=None, agent="B").kl == pytest.approx(again)


# Planted games

Value = Callable[[tuple[int, ...], int, "int | None"], float]
WEIGHTS = Weights(1.0, 0.0, 1.0, 1.0)


def planted(
    aqi: Value, kl: Value, players: str = "AB", draws: int = 3, count: int = 24
) -> tuple[list[Row], TinyLab]:
    """Rows and kept files of a game of two actions each with these mean AQIs and KLs."""
    rng, files, found = np.random.default_rng(0), {}, list[Row]()
    joints = tuple(product((0, 1), repeat=len(players)))
    rules = Rules(
        tuple(players), ("none", "own 0.1"), (False, True), joints, len(joints), count, draws,
        WEIGHTS, (0.0, 1.0, 4.0), 200, SEARCH, 0,
    )  # fmt: skip
    blank = (None, None, None, (), None)
    found.append(Row("design", joints[0], None, "", "", None, None, *blank, rules))
    for joint, draw in product(joints, (None, *range(draws))):
        if draw is not None and not any(joint):
            continue
        for i, player in enumerate(players):
            cell = f"{joint}{draw}{i}"
            noise = rng.normal(0, 0.5, (count, 7))
            files[cell] = torch.from_numpy(aqi(joint, i, draw) + noise)
            found.append(
                Row("agent", joint, draw, player, rules.actions[joint[i]], None,
                        float(files[cell].mean()), kl(joint, i, draw), "f", cell, (), None, None)
            )  # fmt: skip
    return found, TinyLab(files={"f": files})


def own_pays(joint: tuple[int, ...], i: int, draw: int | None) -> float:
    """20 points; own steering gives oneself 30 and takes 40 from the other; random: nothing."""
    gain = 30 * joint[i] - 40 * sum(joint[k] for k in range(len(joint)) if k != i)
    return 50 + (gain if draw is None else 0.5 * draw)


def price(joint: tuple[int, ...], i: int, draw: int | None) -> float:
    return 0.1 * joint[i]


def test_a_planted_dilemma_is_found_and_random_steering_does_not_make_it() -> None:
    """Steering is dominant (.3 - .1 above 0) and both would be better off without: a dilemma."""
    rows, lab = planted(own_pays, price)
    found = PHASE.summarize(rows, lab.kept("x"))
    metrics, text = found.metrics, "\n".join(found.lines)
    assert metrics["all/pure"] == 1 and metrics["all/stability"] == 1.0
    assert metrics["all/stability_chance"] == 0.25
    assert "game all: pure equilibrium own 0.1 / own 0.1, payoffs A +0.3" in text
    assert metrics["all/anarchy_gap"] == pytest.approx(2 * (0.5 - 0.3), abs=0.01)
    assert metrics["all/in_random_games"] == 0.0  # random steering only costs
    assert "random game 0, directions of equal KL: pure none / none in 1.00" in text
    assert "nobody is steered" not in text
    # at (0, 1), (1, 0), (1, 1) A's payoff is -.4, .3, -.1 above no steering; mean draw 1: .005
    wanted = (-0.4 + 0.3 - 0.1) / 3 - 0.005
    assert metrics["all/A/payoff_over_random"] == pytest.approx(wanted, abs=0.005)
    assert metrics["all/A/payoff_over_random_high"] < 0
    assert "p 0.0" in text and "at the equilibrium own 0.1 / own 0.1 over 3 random" in text
    assert "stays an equilibrium under 0.67 of 9 choices" in text  # not at 4 times the price


def test_the_gain_over_random_by_hand() -> None:
    rows, lab = planted(own_pays, price)
    found = read(Evidence(rows, lab.kept("x"))).measured
    assert found is not None
    gain = over_random(found, 1, [(0, 1)])
    own = found.cells[0, 1].aqi[:, 1].mean(axis=1) / 100
    random = np.array([c[0, 1].aqi[:, 1].mean(axis=1) / 100 for c in found.random.values()])
    assert gain is not None
    assert gain.interval.estimate == pytest.approx(own.mean() - random.mean())
    over = (own - random.mean(axis=0)).var(ddof=1) / 24
    error = np.sqrt(random.mean(axis=1).var(ddof=1) * (1 + 1 / 3) + over)
    assert gain.interval.standard_error == pytest.approx(error)
    half = 4.302652729911275 * error  # t with 2 degrees
    assert gain.interval.high == pytest.approx(own.mean() - random.mean() + half)


def test_what_decides_the_game_is_told_term_by_term() -> None:
    """Own steering: 30 points of AQI for .1 nats at a ceiling of 1; random steering only costs."""
    rows, lab = planted(own_pays, price)
    found = PHASE.summarize(rows, lab.kept("x"))
    assert found.metrics["all/A/moves_aqi"] == pytest.approx(0.30, abs=0.003)
    assert found.metrics["all/A/moves_aqi_low"] > 0.295
    assert found.metrics["all/A/moves_cost"] == pytest.approx(-0.1)
    assert "all/A/moves_homophily" not in found.metrics  # its weight is 0
    (line,) = [line for line in found.lines if line.startswith("A: its own steering")]
    assert line.endswith("cost -0.1000 [-0.1000, -0.1000] (random -0.1000)")


def test_missing_cells_are_named_and_the_rest_survives() -> None:
    rows, lab = planted(own_pays, price)
    kept = lab.kept("x")
    gone = [r for r in rows if (r.joint, r.draw) != ((1, 0), 2)]
    found = PHASE.summarize(gone, kept)
    assert found.metrics["random_games"] == 2.0
    assert any("no random game 2: 1 of 4 joint actions" in line for line in found.lines)
    assert any("own 0.1 / none" in line for line in found.lines)
    gone = [r for r in rows if (r.joint, r.draw, r.agent) != ((1, 0), None, "B")]
    found = PHASE.summarize(gone, kept)
    assert not found.metrics and "no game: 1 of 4 joint actions" in found.lines[0]
    assert PHASE.draw(gone, kept) == {}
    found = PHASE.summarize(rows[1:], kept)
    assert found.lines == ("no game: the rules were not measured",)


def test_why_a_cell_is_missing_is_said() -> None:
    rows, lab = planted(own_pays, price)
    why = replace(rows[1], kind="missed", reason="A, own 0.1: no strength")
    assert "A, own 0.1: no strength" in PHASE.summarize([*rows, why], lab.kept("x")).lines


def test_payoffs_that_are_not_numbers_are_named() -> None:
    rows, lab = planted(own_pays, price)
    lab.files["f"]["(1, 1)None0"][3, 2] = float("nan")
    error = refused(lambda: PHASE.summarize(rows, lab.kept("x")))
    assert "cell (1, 1)" in str(error) and "1 not finite" in str(error)


def test_a_solver_that_hangs_is_a_line_and_the_rest_survives(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("mahals.maths.games.solvers.installed", lambda library: True)
    monkeypatch.setattr(
        "mahals.maths.games.solvers._process", lambda *_: ([], "timed_out", "no answer in 60 s")
    )
    rows, lab = planted(own_pays, price)
    found = PHASE.summarize(rows, lab.kept("x"))
    assert found.metrics["all/pure"] == 1 and found.metrics["solvers_failed"] == 2
    lines = [line for line in found.lines if "timed_out" in line]
    assert len(lines) == 2 and "in the games all, " in lines[0] and "random 2" in lines[0]


def test_three_agents_sampled_are_fitted_and_say_how_well() -> None:
    rows, lab = planted(own_pays, price, players="ABC", draws=2)
    rules = rows[0].rules
    assert rules is not None
    joints = tuple(j for j in rules.joints if j != (1, 1, 0))
    rows = [replace(rows[0], rules=replace(rules, joints=joints))] + [
        r for r in rows[1:] if r.joint in joints
    ]
    found = PHASE.summarize(rows, lab.kept("x"))
    assert found.metrics["coverage"] == 7 / 8
    assert found.metrics["A/held_out_r2"] > 0.95  # the planted game is additive
    assert any("pure equilibrium own 0.1 / own 0.1 / own 0.1" in line for line in found.lines)
    assert {"payoffs", "stability", "over_random"} <= set(PHASE.draw(rows, lab.kept("x")))


def test_cells_stand_only_where_every_agent_was_measured() -> None:
    rows, lab = planted(own_pays, price)
    rules = rows[0].rules
    assert rules is not None
    some = [r for r in rows if not (r.agent == "A" and r.joint == (0, 1))]
    assert set(cells_of(Evidence(some, lab.kept("x")), rules, None)) == {(0, 0), (1, 0), (1, 1)}
