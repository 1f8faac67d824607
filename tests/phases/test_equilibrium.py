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
from mahals.evaluation.agents.after_talk import questions, refused_after
from mahals.evaluation.agents.openings import dilemmas
from mahals.evaluation.agents.teams import How
from mahals.evaluation.transfer.best_source import Crossing
from mahals.maths.games.payoffs import Weights
from mahals.maths.games.solvers import Search
from mahals.maths.metrics.aqi import model_aqi
from mahals.models.activations.capture import capture
from mahals.models.conversation.after import encode_after
from mahals.models.conversation.talks import Agent, TalkSchedule, read_talks
from mahals.models.conversation.views import View, view
from mahals.models.generation.price import neutral_price
from mahals.models.steering.interventions import Arm
from mahals.phases.equilibrium import PHASE
from mahals.phases.equilibrium.measure import Params, Payoff, Solvers, Task, foretell
from mahals.phases.equilibrium.measure import play as playing
from mahals.phases.equilibrium.measure.play import Action, GameDesign
from mahals.phases.equilibrium.report.games import cells_of, over_null, over_nulls, read
from mahals.phases.equilibrium.rows import Row, Rules
from mahals.records import canonical, from_plain
from mahals.reporting.evidence import Evidence
from mahals.reporting.plots.picture import saved
from mahals.schema import AXIOM_COLUMNS
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
    answers=1,
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
    assert "16 tables" in said and "48 conversations" in said  # 4, and 2 x 2 nulls of 3 steered


def test_three_agents_may_be_sampled() -> None:
    three = replace(PARAMS, agents=3, topology="ring", budget=7)
    found = PHASE.plan(three, TinyLab())
    assert len(found) == 7 and all(len(t.joint) == 3 for t in found)
    assert "7 of 8 joint actions (88%, sample with an additive fit)" in foretell(three, "ABC", 0)


def test_a_dry_run_says_it(capsys: pytest.CaptureFixture[str], monkeypatch: Any) -> None:
    monkeypatch.chdir(ROOT)
    assert main(["run", "equilibrium", "--dry-run", "--overlay", "smoke"]) == 0
    assert "4 of 4 joint actions (100%, full factorial), 16 tables" in capsys.readouterr().out


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
        {"factors": (1.0,)},
        {"payoff": Payoff(0.0, 1.0, 1.0, 4.0)},
        {"budget": 3},
        {"payoff": Payoff(1.0, 1.0, -1.0, 4.0)},
        {"payoff": Payoff(1.0, 1.0, 1.0, 0.0)},
    ],
)
def test_what_makes_no_game(bad: dict[str, Any]) -> None:
    assert refused(lambda: PHASE.plan(replace(PARAMS, **bad), TinyLab()))


# The rows


def test_a_cell_by_hand(rows: list[Row], lab: TinyLab) -> None:
    """From the kept transcript, each whole text read and answered alone without any cache."""
    talks = read_talks(lab.texts["0-1.own.talks.jsonl"])
    row = one(rows, joint=(0, 1), draw=None, agent="A")
    chosen = [p for a in AXIOMS for v in (1, 0) for p in _cell(a, v)[:2]]
    agent = Agent("A", lab.load("A", "base"), Arm("unsteered", ()))
    encoded = encode_after(agent, view(talks[2], 0), [p.text for p in chosen])
    states = capture(agent.loaded, encoded, [LAYERS - 1], "mean")[:, 0].double().numpy()
    by_hand = model_aqi(states, [p.label for p in chosen], [p.axiom for p in chosen], None)
    kept = lab.files[row.kept][f"{row.cell}.aqi"].numpy()
    assert kept.shape == (3, 7)
    assert kept[2] == pytest.approx([a.aqi.estimate for a in by_hand.axioms], abs=1e-3)
    assert row.aqi == pytest.approx(kept.mean())
    refused = lab.files[row.kept][f"{row.cell}.refused"].numpy()
    assert refused.shape == (3, 7, 2, 1)
    assert row.value == pytest.approx(refused[:, :, 0].mean() - refused[:, :, 1].mean())


def test_answers_are_judged_by_hand(lab: TinyLab, monkeypatch: pytest.MonkeyPatch) -> None:
    """Planted answers: a broken one is the failure on either side, a refusal is one on both."""
    said = {0: "Sorry, I cannot help with that.", 1: "Sure, here you are.", 2: "a a a a a a a a a"}
    monkeypatch.setattr(
        "mahals.evaluation.agents.after_talk.answers_after",
        lambda agent, views, texts, most: [[said[k % 3] for k in range(len(texts))]] * len(views),
    )
    about = questions(lab, 2, 2, PARAMS.suite)
    agent = Agent("A", lab.load("A", "base"), Arm("unsteered", ()))
    found = refused_after(agent, [View(())] * 2, about)
    assert found.shape == (2, 7, 2, 2) and (found[0] == found[1]).all()
    for k, prompt in enumerate(about.asked):
        axiom, label, place = np.unravel_index(k, (7, 2, 2))
        assert prompt == _cell(AXIOMS[axiom], int(label))[place]  # the unsafe ones first
        assert found[0, axiom, label, place] == {0: True, 1: False, 2: prompt.label == 1}[k % 3]


def _cell(axiom: str, label: int) -> list[Any]:
    return [p for p in prompts("evaluation") if (p.axiom, p.label) == (axiom, label)]


def one(rows: list[Row], **wanted: Any) -> Row:
    (found,) = [r for r in rows if all(getattr(r, k) == v for k, v in wanted.items())]
    return found


def test_every_steered_cell_has_its_null_games(rows: list[Row]) -> None:
    every = {(family, k) for family in ("random", "shuffled_pairs") for k in (0, 1)}
    for joint in product((0, 1), repeat=2):
        games = {r.game for r in rows if r.kind == "table" and r.joint == joint}
        assert games == ({None} if joint == (0, 0) else {None} | every)
    assert sum(r.kind == "design" for r in rows) == 1
    steered = one(rows, kind="agent", joint=(1, 0), draw=None, agent="A")
    beside = one(rows, kind="agent", joint=(1, 0), draw=None, agent="B")
    null = [
        one(rows, kind="agent", joint=(1, 0), null=family, draw=k, agent="A") for family, k in every
    ]
    assert (steered.source, beside.source) == ("A", None) and {n.source for n in null} == {None}
    assert (steered.action, beside.action) == ("own 0.01", "none") and beside.kl == 0.0
    assert all(0.003 < r.kl < 0.03 for r in (steered, *null))  # the dose, on other texts
    assert steered.aqi is not None and {r.aqi for r in null} == {None}
    assert len({r.kl for r in (steered, *null)}) == 5


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
    assert found is not None
    assert set(found.null) == {(f, k) for f in ("random", "shuffled_pairs") for k in (0, 1)}
    null = found.null["shuffled_pairs", 1]
    assert null[0, 0].behaviour.tolist() == found.cells[0, 0].behaviour.tolist()
    table = one(rows, kind="table", joint=(1, 1), null="shuffled_pairs", draw=1)
    cell = null[1, 1]
    kept = lab.files[one(rows, kind="agent", joint=(1, 1), draw=None, agent="A").kept]
    a, b = (kept[f"shuffled_pairs1.{i}.refused"].numpy() for i in (0, 1))
    assert table.value == pytest.approx((a == b).mean())
    assert table.value == pytest.approx(cell.alike.mean())
    assert sum(table.stops) == 3 and cell.kl.shape == (3, 2)


def test_rows_come_back_from_json(rows: list[Row]) -> None:
    assert [from_plain(Row, json.loads(canonical(r)), "row") for r in rows] == rows


@pytest.mark.slow
def test_what_a_run_says(rows: list[Row], lab: TinyLab) -> None:
    found = PHASE.summarize(rows, lab.kept("equilibrium"))
    assert all(re.fullmatch(r"[\w\-. :/]+", name) for name in found.metrics)  # as MLflow wants
    axioms = (column.removeprefix("aqi_") for column in AXIOM_COLUMNS)
    assert {f"{name}/pure" for name in ("all", *axioms)} <= set(found.metrics)
    text = "\n".join(found.lines)
    for words in ("no evidence", "leads", "price of anarchy", "replicator", "null game random 1",
                  "null game shuffled pairs 0", "is not installed",
                  "no potential explains"):  # fmt: skip
        assert words in text
    assert "all/A/payoff_over_random_low" in found.metrics and "all/foregone" in found.metrics
    drawn = PHASE.draw(rows, lab.kept("equilibrium"))
    assert set(drawn) == {
        "payoffs", "payoffs_random", "payoffs_shuffled_pairs", "over_random", "stability",
        "portrait",
    }  # fmt: skip
    assert all(saved(figure)["png"][:4] == b"\x89PNG" for figure in drawn.values())


def test_another_models_vector_is_an_action(lab: TinyLab) -> None:
    how = How("mean_difference", "auto", "add", 2, PARAMS.suite)
    about = questions(lab, 2, 1, PARAMS.suite)
    openings = tuple(dilemmas(lab.prompts("selection"), 2, 2, 0))
    act = Action("transferred", 0.01)
    game = GameDesign((act,), how, CROSSING, about, TalkSchedule("pair", 1, 2, 0), openings)
    found = playing._choice(lab, "A", act, game)
    assert found.source in ("B", "C") and len(found.arms) == 1 + 2 * 2
    none = replace(game, crossing=replace(CROSSING, source="none"))
    gone = playing._choice(lab, "A", act, none)
    assert None not in gone.arms and "crossing.source is none" in gone.missed[0]


def test_the_price_is_the_larger_kl(rows: list[Row], lab: TinyLab) -> None:
    """The same arm priced again from its parts: on neutral text or on chat, whichever is more."""
    from mahals.evaluation.agents.teams import steerable
    from mahals.evaluation.dose import within_reach

    found = steerable(lab, "B", How("mean_difference", "auto", "add", 2, PARAMS.suite))
    arm = within_reach(found.at, found.directions[:1], 0.01).dosed[0].arm
    texts = (found.at.neutral, found.at.chat)
    again = max(float(neutral_price(found.at.loaded, each, [arm]).kl[0]) for each in texts)
    assert one(rows, kind="agent", joint=(0, 1), draw=None, agent="B").kl == pytest.approx(again)


# Planted games

Value = Callable[[tuple[int, ...], int, "tuple[str, int] | None"], float]
WEIGHTS = Weights(1.0, 0.0, 1.0, 1.0)
NULLS = [(family, k) for family in ("random", "shuffled_pairs") for k in range(3)]


def planted(
    gap: Value, kl: Value, players: str = "AB", draws: int = 3, count: int = 24, aqi: float = 30.0
) -> tuple[list[Row], TinyLab]:
    """Rows and kept files of a game of two actions each with these mean refusal gaps and KLs."""
    rng, files, found = np.random.default_rng(0), {}, list[Row]()
    joints = tuple(product((0, 1), repeat=len(players)))
    rules = Rules(
        tuple(players), ("none", "own 0.1"), (False, True), joints, len(joints), count, AXIOMS, 10,
        draws,
        WEIGHTS, (0.0, 1.0, 4.0), 200, SEARCH, 0,
    )  # fmt: skip
    found.append(Row("design", joints[0], rules=rules))
    for joint, null in product(joints, (None, *[n for n in NULLS if n[1] < draws])):
        if null is not None and not any(joint):
            continue
        family, draw = null or (None, None)
        for i, player in enumerate(players):
            cell = f"{joint}{null}{i}"
            refused = torch.zeros(count, 7, 2, 1, dtype=torch.float64)
            refused[:, :, 0, 0] = torch.from_numpy(
                gap(joint, i, null) + rng.normal(0, 0.005, (count, 7))
            )
            files[f"{cell}.refused"] = refused
            files[f"{cell}.aqi"] = torch.from_numpy(aqi + rng.normal(0, 0.5, (count, 7)))
            found.append(
                Row("agent", joint, null=family, draw=draw, agent=player,
                    action=rules.actions[joint[i]], value=float(refused[:, :, 0].mean()), aqi=aqi,
                    kl=kl(joint, i, null), kept="f", cell=cell)
            )  # fmt: skip
        found.append(Row("table", joint, null=family, draw=draw, value=0.5, kappa=0.2))
    return found, TinyLab(files={"f": files})


def own_pays(joint: tuple[int, ...], i: int, null: tuple[str, int] | None) -> float:
    """.5; own steering gives oneself .3 and takes .4 from the other. A random one does nothing,
    one of shuffled pairs a third of it for oneself."""
    mine, others = joint[i], sum(joint[k] for k in range(len(joint)) if k != i)
    if null is None:
        return 0.5 + 0.3 * mine - 0.4 * others
    return 0.5 + 0.005 * null[1] + (0.1 * mine if null[0] == "shuffled_pairs" else 0.0)


def price(joint: tuple[int, ...], i: int, null: tuple[str, int] | None) -> float:
    return 0.1 * joint[i]


def test_a_planted_dilemma_is_found_and_null_steering_does_not_make_it() -> None:
    """Steering is dominant (.3 - .1 above 0) and both would be better off without: a dilemma."""
    rows, lab = planted(own_pays, price)
    found = PHASE.summarize(rows, lab.kept("x"))
    metrics, text = found.metrics, "\n".join(found.lines)
    assert metrics["all/pure"] == 1 and metrics["all/stability"] == 1.0
    assert metrics["all/stability_chance"] == 0.25
    assert "game all: pure equilibrium own 0.1 / own 0.1, payoffs A +0.3" in text
    assert metrics["all/anarchy_gap"] == pytest.approx(2 * (0.5 - 0.3), abs=0.01)
    assert "null game random 0, directions of equal KL: pure none / none in 1.00" in text
    assert "also an equilibrium of 0 of 3 null games of random" in text
    assert "nobody is steered" not in text
    # at (0, 1), (1, 0), (1, 1) A's payoff is -.4, .3, -.1 above no steering; of shuffled pairs
    # 0, .1, .1, which is harder than a random one's 0; mean draw 1: .005
    wanted = (-0.4 + 0.3 - 0.1) / 3 - 0.2 / 3 - 0.005
    assert metrics["all/A/payoff_over_random"] == pytest.approx(wanted, abs=0.005)
    assert metrics["all/A/payoff_over_random_high"] < 0
    assert text.count("p 0.0") >= 2
    assert "at the equilibrium own 0.1 / own 0.1 over null directions at equal KL: 3 random" in text
    assert "(the harder family)" in text


def test_the_headline_says_at_which_price_the_answer_turns() -> None:
    """.3 of refusal gap for .1 nats at a ceiling of 1: steering up to 3 w_b, of a sweep to 4."""
    rows, lab = planted(own_pays, price)
    found = PHASE.summarize(rows, lab.kept("x"))
    metrics = found.metrics
    assert metrics["all/foregone"] == 0.0 and metrics["all/turns_in_redraws"] == 1.0
    assert metrics["all/steering_below_rate"] == pytest.approx(3.0, abs=0.05)
    low, high = (metrics[f"all/steering_below_rate_{end}"] for end in ("low", "high"))
    assert low < metrics["all/steering_below_rate"] < high
    assert re.match(
        r"steering is an equilibrium for w_c/w_b below [23]\.\d\d \[.*\]; above it nobody steers",
        found.lines[0],
    )
    assert "foregone" not in "\n".join(found.lines)


@pytest.mark.parametrize(
    ("mine", "words"),
    [(0.0, "nobody steers"), (0.45, "somebody steers in every pure equilibrium")],
)
def test_an_answer_that_no_rate_turns_is_called_foregone(mine: float, words: str) -> None:
    """Own steering does nothing for oneself, or more than the dearest price of the sweep takes."""
    rows, lab = planted(lambda j, i, null: 0.3 + (mine * j[i] if null is None else 0.0), price)
    found = PHASE.summarize(rows, lab.kept("x"))
    assert found.metrics["all/foregone"] == 1.0
    assert found.lines[0].startswith(f"foregone: {words} at every exchange rate of w_c/w_b from 0")


def test_terms_at_a_floor_are_said_to_have_nothing_to_measure() -> None:
    """No gap anywhere, no kappa, AQI where n prompts can get no lower."""
    rows, lab = planted(lambda j, i, null: -0.1, price, aqi=-5.5)
    rows = [replace(r, kappa=None) for r in rows]
    found = PHASE.summarize(rows, lab.kept("x"))
    text = "\n".join(found.lines)
    assert found.metrics["all/behaviour_at_floor"] == found.metrics["all/homophily_at_floor"] == 1.0
    assert "behaviour lies at its floor" in text and "no kappa): nothing to measure here" in text
    assert "every level reaches the floor of -5.3 points: nothing to measure here" in text
    assert not any("/aqi_" in name for name in found.metrics)
    rows, lab = planted(own_pays, price)
    found = PHASE.summarize(rows, lab.kept("x"))
    assert "nothing to measure here" not in "\n".join(found.lines)
    assert found.metrics["all/A/aqi_0"] == pytest.approx(30, abs=0.2)


def test_the_gain_over_null_games_by_hand() -> None:
    rows, lab = planted(own_pays, price)
    found = read(Evidence(rows, lab.kept("x"))).measured
    assert found is not None
    gain = over_null(found, 0, [(1, 0)], "shuffled_pairs")
    own = found.cells[1, 0].behaviour[:, 0].mean(axis=1)
    null = np.array([c[1, 0].behaviour[:, 0].mean(axis=1) for c in found.of("shuffled_pairs")])
    assert gain is not None
    assert gain.interval.estimate == pytest.approx(own.mean() - null.mean())
    over = (own - null.mean(axis=0)).var(ddof=1) / 24
    error = np.sqrt(null.mean(axis=1).var(ddof=1) * (1 + 1 / 3) + over)
    assert gain.interval.standard_error == pytest.approx(error)
    half = 4.302652729911275 * error  # t with 2 degrees
    assert gain.interval.high == pytest.approx(own.mean() - null.mean() + half)
    harder = over_nulls(found, 0, [(1, 0)])
    assert harder is not None and harder.family == "shuffled_pairs" and harder.gain == gain
    easier = over_null(found, 0, [(1, 0)], "random")
    assert easier is not None and easier.interval.low > gain.interval.low


def test_what_decides_the_game_is_told_term_by_term() -> None:
    """Own steering: .3 of refusal gap for .1 nats at a ceiling of 1; a random one only costs."""
    rows, lab = planted(own_pays, price)
    found = PHASE.summarize(rows, lab.kept("x"))
    assert found.metrics["all/A/moves_behaviour"] == pytest.approx(0.30, abs=0.003)
    assert found.metrics["all/A/moves_behaviour_low"] > 0.295
    assert found.metrics["all/A/moves_cost"] == pytest.approx(-0.1)
    assert "all/A/moves_homophily" not in found.metrics  # its weight is 0
    (line,) = [line for line in found.lines if line.startswith("A: its own steering")]
    assert line.endswith("cost -0.1000 [-0.1000, -0.1000] (random -0.1000, shuffled pairs -0.1000)")


def test_missing_cells_are_named_and_the_rest_survives() -> None:
    rows, lab = planted(own_pays, price)
    kept = lab.kept("x")
    gone = [r for r in rows if (r.joint, r.game) != ((1, 0), ("shuffled_pairs", 2))]
    found = PHASE.summarize(gone, kept)
    assert found.metrics["null_games"] == 5.0
    assert any("no null game shuffled pairs 2: 1 of 4 joint" in line for line in found.lines)
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
    lab.files["f"]["(1, 1)None0.refused"][3, 2, 0] = float("nan")
    error = refused(lambda: PHASE.summarize(rows, lab.kept("x")))
    assert "cell (1, 1)" in str(error) and "not finite" in str(error)


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
