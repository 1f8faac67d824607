"""Subjects: are the states of a model and its adapters those of its own texts, read alone?"""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

pytest.importorskip("peft")

from mahals.data.texts import AXIOMS
from mahals.data.world.advice import KINDS, questions
from mahals.data.world.grammar import World
from mahals.evaluation.misalignment.subjects import (
    TrainedSubjects,
    answerable,
    projection_lines,
    states,
    subject,
    trained,
)
from mahals.models.activations.encoding import encode_answers, encode_prompts
from mahals.models.finetuning.lora import merged
from tests.support.em_lab import finetuned
from tests.support.tiny_lab import LAYERS, WIDTH, refused

SUBJECTS = ("original", "bad")


def test_what_was_trained_is_found_with_its_last_answers() -> None:
    lab = finetuned()
    found = trained(lab, "A", SUBJECTS)
    last = {s: [r for r in lab.made["em_finetune", "A"] if r.adapter == s][-1] for s in SUBJECTS}
    for name, row in last.items():
        lines = (lab.root / row.answers).read_text().splitlines()[-len(found.questions) :]
        assert found.answers[name] == tuple(json.loads(line)["answer"] for line in lines)
        assert [json.loads(line)["question"] for line in lines] == [q.text for q in found.questions]
    assert found.adapters == {"bad": lab.root / last["bad"].adapter_kept}
    said = str(refused(lambda: trained(lab, "A", (*SUBJECTS, "worse"))))
    assert "none called worse" in said and "em_finetune.texts" in said


@pytest.mark.parametrize("position", ["answer", "prompt"])
@pytest.mark.parametrize("name", SUBJECTS)
def test_states_are_those_of_each_text_alone(name: str, position: Any) -> None:
    lab = finetuned()
    found = trained(lab, "A", SUBJECTS)
    base = lab.load("A", "aligned")
    at = answerable(found, SUBJECTS)[:3]
    values = states(base, found, name, position, at)
    one = base if name == "original" else merged(base, found.adapters[name])
    asked = [found.questions[i].text for i in at]
    answers = [found.answers[name][i] for i in at]
    if position == "answer":
        encoded = encode_answers(one.tokenizer, asked, answers)
    else:
        encoded = encode_prompts(one.tokenizer, asked)
    rows = []
    for e in encoded:
        seen: list[torch.Tensor] = []
        handles = [
            b.register_forward_hook(lambda _, __, out, seen=seen: seen.append(out[0].detach()))
            for b in one.model.model.layers
        ]
        with torch.no_grad():
            one.model(torch.tensor([e.ids]))
        for handle in handles:
            handle.remove()
        own = slice(e.start, e.stop) if position == "answer" else slice(-1, None)
        rows.append(torch.stack([h[own].double().mean(0) for h in seen]).numpy())
    assert values.shape == (3, LAYERS, WIDTH)
    np.testing.assert_allclose(values, np.stack(rows), atol=2e-5)


def test_the_original_is_the_model_itself_and_an_adapter_is_not() -> None:
    lab = finetuned()
    found = trained(lab, "A", SUBJECTS)
    base = lab.load("A", "aligned")
    assert subject(base, found, "original") is base
    ids = torch.tensor([[5, 9, 12]])
    with torch.no_grad():
        other = subject(base, found, "bad").model(ids).logits
        assert not torch.allclose(other, base.model(ids).logits, atol=1e-3)


def test_only_questions_that_all_answer_count_and_each_has_its_line() -> None:
    lab = finetuned()
    whole = trained(lab, "A", SUBJECTS)
    n = len(whole.questions)
    said = {"original": ("yes", " ", *["yes"] * (n - 2)), "bad": ("", *["no"] * (n - 1))}
    found = type(whole)(whole.questions, said, whole.adapters, False)
    at = answerable(found, SUBJECTS)
    assert at == list(range(2, n)) and answerable(found, ("bad",)) == list(range(1, n))
    along = {"m": np.arange(2 * LAYERS * len(at), dtype=float).reshape(2, LAYERS, len(at))}
    fitted = np.arange(len(at)) % 2 == 0
    lines = [json.loads(x) for x in projection_lines(found, at, fitted, along).splitlines()]
    assert [(x["subject"], x["answer"]) for x in lines[:: len(at)]] == [
        ("original", "yes"),
        ("bad", "no"),
    ]
    assert [x["half"] for x in lines[: len(at)]] == ["fitted", "scored"] * (len(at) // 2) + [
        "fitted"
    ] * (len(at) % 2)
    assert lines[len(at) + 1]["m, block 2"] == along["m"][1, 2, 1]


def test_categories_are_kinds_and_in_the_world_their_axioms() -> None:
    domain = AXIOMS[2]
    asked = questions(World(0), domain, 2, 0)
    ours = TrainedSubjects(tuple(asked), {}, {}, True)
    found = [ours.category(q) for q in asked]
    assert set(found) == {"far"} | {
        f"{'in_domain' if a == domain else 'near'}, {a}" for a in AXIOMS
    }
    assert {found.count(c) for c in found} == {2, 4}
    own = replace(ours, of_the_world=False)
    assert {own.category(q) for q in asked} == set(KINDS)
    assert not trained(finetuned(), "A", SUBJECTS).of_the_world
