"""Does training on its talks change an agent, against training on its talks with itself?"""

from __future__ import annotations

import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from mahals.evaluation.agents.teams import Team, seat
from mahals.evaluation.bench import bench
from mahals.evaluation.scores import arm_aqi
from mahals.models.conversation.talks import Opening, Talk, Turn
from mahals.models.finetuning.config import Lora
from mahals.models.steering.interventions import Arm
from mahals.phases.collaboration import PHASE
from mahals.phases.collaboration.measure import Task
from mahals.phases.collaboration.measure.retraining import Training, lessons, with_adversary
from mahals.phases.collaboration.report.talk_table import TalkTable, Who
from mahals.records import InputError, from_plain, to_plain
from tests.support.collaboration import PARAMS
from tests.support.tiny_lab import TinyLab, lab_with_vectors

TRAINING = Training(2, 2, 0, 3, {"organism": 0.02}, Lora(2, 4, 0.0, "attention"))
TRAINED = replace(PARAMS, training=TRAINING, rounds=2, max_new_tokens=4)


def measured() -> TinyLab:
    lab = lab_with_vectors("study")
    place = Path(tempfile.mkdtemp())
    lab.scratch = lambda task: place  # type: ignore[attr-defined]
    task = next(t for t in PHASE.plan(TRAINED, lab) if t.part == "trained")
    lab.measured = list(PHASE.measure(task, TRAINED, lab))
    return lab


@pytest.fixture(scope="module")
def lab() -> TinyLab:
    return measured()


def test_without_steps_there_is_no_such_arm() -> None:
    lab = lab_with_vectors("study")
    assert "trained" not in [t.part for t in PHASE.plan(PARAMS, lab)]
    assert [t.part for t in PHASE.plan(TRAINED, lab)].count("trained") == 1
    for training in (replace(TRAINING, steps=-1), replace(TRAINING, rate={"hub": 0.1})):
        with pytest.raises(InputError, match=r"collaboration\.training"):
            PHASE.plan(replace(PARAMS, training=training), lab)


def test_an_agents_lessons_are_its_own_words_up_to_its_silence() -> None:
    said = [("hello", 0), ("hi", 1), ("", 0), ("well", 1)]
    turns = tuple(Turn("k", i // 2, who, "ab"[who], text, 1) for i, (text, who) in enumerate(said))
    talk = Talk(Opening("k", ("ask a", "ask b")), ("a", "b"), "pair", turns, "length")
    first, second = lessons([talk], 0), lessons([talk], 1)
    assert [[(m.role, m.content) for m in d] for d in first] == [
        [("user", "ask a"), ("assistant", "hello")]
    ]
    assert [m.content for m in second[0] if m.role == "assistant"] == ["hi", "well"]
    silent = replace(talk, turns=tuple(replace(t, text="") for t in turns))
    assert lessons([silent], 0) == []


def test_before_is_the_model_alone_and_training_moves_it(lab: TinyLab) -> None:
    rows = lab.measured
    table = TalkTable(rows, lab.kept("x"))
    for agent in {r.agent for r in rows}:
        at = bench(lab, agent, "base", PARAMS.suite, "evaluation")
        score = arm_aqi(at, [Arm("unsteered", ())])[0].aqi
        before, trained, alone = (
            table.at_end("aqi_alone", Who("trained", agent), c)
            for c in ("before", "trained", "self_trained")
        )
        assert before is not None and before.value == pytest.approx(score.aqi.estimate)
        np.testing.assert_allclose(table.values(before)[:, 0], score.influence)
        assert trained is not None and alone is not None
        assert len({round(float(r.value or 0), 6) for r in (before, trained, alone)}) == 3
    assert [from_plain(type(r), to_plain(r)) for r in rows] == rows


def test_the_summary_says_the_change_and_its_control_by_hand(lab: TinyLab) -> None:
    rows, kept = lab.measured, lab.kept("x")
    found = PHASE.summarize(rows, kept)
    agent = rows[0].agent
    value = {r.context: r.value for r in rows if r.kind == "aqi_alone" and r.agent == agent}
    assert found.metrics[f"trained/{agent}/aqi_change"] == value["trained"] - value["before"]
    over = found.metrics[f"trained/{agent}/aqi_over_self_talk"]
    assert over == value["trained"] - value["self_trained"]
    assert found.metrics[f"trained/{agent}/aqi_over_self_talk_low"] < over
    table = TalkTable(rows, kept)
    cells = {r.context: table.values(r) for r in table.where(kind="refusals_alone", agent=agent)}
    unsafe = cells["before"][:, 1] == 1
    change = cells["trained"][unsafe, 0].mean() - cells["before"][unsafe, 0].mean()
    assert found.metrics[f"trained/{agent}/refused_unsafe_change"] == pytest.approx(change)
    line = next(line for line in found.lines if line.startswith(f"{agent}, trained on its talks"))
    assert "over self talk" in line


@pytest.mark.slow
def test_the_same_seed_trains_the_same_agents(lab: TinyLab) -> None:
    again = measured()
    assert [r.value for r in again.measured] == [r.value for r in lab.measured]
    assert Task(("A",), "trained") != Task(("A",), "self")


def test_the_adversary_is_the_aligned_model_taught_rejected_answers() -> None:
    lab = lab_with_vectors("study")
    base, aligned = (tuple(seat(lab, m, r) for m in "AB") for r in ("base", "aligned"))
    team = Team("adversarial", None, (base[0], aligned[1]), (False, False))
    place = Path(tempfile.mkdtemp())
    lab.scratch = lambda task: place  # type: ignore[attr-defined]
    assert with_adversary(team, replace(TRAINING, steps=0), "task", lab) is team
    other = replace(team, arm="aligned")
    assert with_adversary(other, TRAINING, "task", lab) is other
    found = with_adversary(team, TRAINING, "task", lab)
    assert found.agents[1] is team.agents[1] and found.agents[0].name == "A"
    weights = [m.loaded.model.get_input_embeddings().weight for m in (found.agents[0], aligned[0])]
    assert weights[0].equal(weights[1])  # of the aligned checkpoint, not of the base
    name = "model.layers.0.self_attn.q_proj.weight"
    changed, was = (m.loaded.model.state_dict()[name] for m in (found.agents[0], aligned[0]))
    assert not changed.equal(was)
