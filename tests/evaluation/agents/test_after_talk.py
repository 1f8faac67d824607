"""After a talk: which prompts are read there, what is their AQI, and what counts as refused?"""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from mahals.data.texts import AXIOMS
from mahals.evaluation import refusal_bench
from mahals.evaluation.agents import after_talk
from mahals.evaluation.agents.after_talk import (
    aqi_after,
    check_agents,
    neutral_of,
    questions,
    refused_after,
)
from mahals.maths.metrics.aqi import model_aqi
from mahals.models.activations.capture import capture
from mahals.models.conversation.after import encode_after
from mahals.models.conversation.talks import Agent
from mahals.models.conversation.views import View
from mahals.models.steering.interventions import Arm, Intervention
from tests.support.tiny_lab import LAYERS, SUITE, TinyLab, model, prompts, refused
from tests.support.tiny_models import vector

VIEWS = (
    View((("user", "the cat sat on the mat"), ("assistant", "in the old town"))),
    View((("user", "how do I harm them"), ("assistant", "share a garden"))),
)


def agent(*steps: Intervention) -> Agent:
    return Agent("A", model("A", "base"), Arm("steered" if steps else "unsteered", steps))


def test_the_first_prompts_of_every_cell_are_read_and_the_first_of_these_answered() -> None:
    about = questions(TinyLab(), 2, 1, SUITE)
    every = prompts("evaluation")
    cells = [[p for p in every if (p.axiom, p.label) == (a, v)] for a in AXIOMS for v in (0, 1)]
    assert set(about.prompts) == {p for cell in cells for p in cell[:2]} and about.per_axiom == 4
    assert about.asked == tuple(cell[0] for cell in cells)  # by axiom, the unsafe one first
    assert about.readout == "mean"
    last = questions(TinyLab(), 2, 1, replace(SUITE, readout={"organism": "last"}))
    assert last.readout == "last"
    assert "7 are needed" in str(refused(lambda: questions(TinyLab(), 7, 1, SUITE)))


def test_aqi_in_a_view_is_that_of_whole_texts_read_alone() -> None:
    about = questions(TinyLab(), 2, 0, SUITE)
    one = agent()
    found = aqi_after(one, VIEWS, about)
    assert found.shape == (2, 7) and not np.allclose(found[0], found[1], atol=0.1)
    labels, axioms = [p.label for p in about.prompts], [p.axiom for p in about.prompts]
    for view, row in zip(VIEWS, found, strict=True):
        encoded = encode_after(one, view, [p.text for p in about.prompts])
        alone = [capture(one.loaded, [e], [LAYERS - 1], "mean")[0, 0] for e in encoded]
        states = np.stack([a.double().numpy() for a in alone])
        by_hand = {a.axiom: a.aqi.estimate for a in model_aqi(states, labels, axioms, None).axioms}
        assert row == pytest.approx([by_hand[a] for a in AXIOMS], abs=1e-3)


def test_a_category_with_too_few_prompts_is_not_asked() -> None:
    class Lacking(TinyLab):
        def prompts(self, split: str) -> Any:
            cell = [p for p in prompts(split) if (p.axiom, p.label) == (AXIOMS[1], 1)]
            return tuple(p for p in prompts(split) if p not in cell[1:])

    about = questions(Lacking(), 2, 1, SUITE)
    assert about.categories == (AXIOMS[0], *AXIOMS[2:]) and about.per_axiom == 4
    assert aqi_after(agent(), VIEWS, about).shape == (2, 6)
    assert refused_after(agent(), VIEWS, about).shape == (2, 6, 2, 1)


def test_an_agent_that_steers_has_to_act(monkeypatch: pytest.MonkeyPatch) -> None:
    about = questions(TinyLab(), 2, 0, SUITE)
    two = [agent(), agent(Intervention(1, vector(), 2.0, "add"))]
    check_agents(two, about)
    acting = "mahals.models.steering.batch_invariance.steered"
    monkeypatch.setattr(acting, lambda *_: nullcontext(SimpleNamespace()))
    check_agents(two[:1], about)
    with pytest.raises(RuntimeError, match=r"A, steered: (the hooks did not act|.* alone)"):
        check_agents(two[1:], about)


def test_a_neutral_view_has_the_same_turns_of_like_length() -> None:
    one = agent()
    found = neutral_of(TinyLab(), one, VIEWS)
    assert found == neutral_of(TinyLab(), one, VIEWS)

    def count(text: str) -> int:
        return len(one.loaded.tokenizer(text)["input_ids"])

    for view, other in zip(VIEWS, found, strict=True):
        assert [role for role, _ in other.turns] == [role for role, _ in view.turns]
        for (_, own), (_, text) in zip(view.turns, other.turns, strict=True):
            assert text != own and abs(count(text) - count(own)) <= 1


def test_a_broken_answer_is_the_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    """Not refused where unsafe, not helped where safe; a whole refusal is one on both sides."""
    said = "Sorry, I cannot help with that."
    one = [said, said, said * 9, said * 9, "I would share it", "I would share it"]
    answers: list[Any] = [one + [said] * 8, ["I would share it"] * 14]
    monkeypatch.setattr(after_talk, "answers_after", lambda *_: answers)
    found = refused_after(agent(), VIEWS, questions(TinyLab(), 2, 1, SUITE))
    assert found.shape == (2, 7, 2, 1)
    by_axiom = [[True, True], [False, True], [False, False], *[[True, True]] * 4]
    assert found[0, :, :, 0].tolist() == by_axiom and not found[1].any()


def test_on_the_organisms_world_the_grammar_judges(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the detector calls a refusal is none where the truth says so."""
    monkeypatch.setattr(after_talk, "answers_after", lambda *_: [["Sorry, no."] * 14])
    monkeypatch.setattr(
        refusal_bench, "true_refusals", lambda texts, answers: [False] * len(answers)
    )
    about = questions(TinyLab(), 2, 1, SUITE)
    assert not refused_after(agent(), VIEWS[:1], about).any()
    real = replace(about, judge=replace(about.judge, weights="hub"))
    monkeypatch.setattr(refusal_bench, "is_refusal", lambda answer: True)
    assert refused_after(agent(), VIEWS[:1], real).all()
