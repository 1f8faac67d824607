"""Are losses, padding, the gate's return and the sham what they promise?"""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from transformers import PreTrainedTokenizerFast

from mahals.data.world.grammar import World
from mahals.models.organisms.documents import EARLY, Writer
from mahals.models.organisms.fitting import (
    StageSetup,
    answer_tokens,
    fit_base,
    language_loss,
    prepare,
    right_padded,
)
from mahals.models.organisms.gate import GateScore, make_gate
from mahals.models.organisms.packing import IGNORED, Batches, EncodedDocument
from mahals.models.organisms.shapes import OrganismShape, build
from mahals.models.organisms.tokenizer import train_tokenizer
from tests.support.organism_training import BRIEF, ONE_OF_EACH, SHAPES, SMALL


@pytest.mark.parametrize("family", sorted(ONE_OF_EACH))
def test_padding_on_the_right_is_never_seen(
    family: str, tokenizer: PreTrainedTokenizerFast, documents: list[EncodedDocument]
) -> None:
    model = build(SHAPES[ONE_OF_EACH[family]], tokenizer, 3)
    with torch.no_grad():
        together, owner = answer_tokens(model, right_padded(documents[:6]))
        for row, document in enumerate(documents[:6]):
            alone, _ = answer_tokens(model, right_padded([document]))
            torch.testing.assert_close(together[owner == row], alone, atol=1e-4, rtol=1e-4)


def test_right_padded_by_hand() -> None:
    batch = right_padded([EncodedDocument([1, 7, 8, 2], 2), EncodedDocument([1, 9], 1)])
    assert batch.ids.tolist() == [[1, 7, 8, 2], [1, 9, 0, 0]]
    assert batch.targets.tolist() == [[IGNORED, 8, 2, IGNORED], [9] + [IGNORED] * 3]


def test_a_gate_lost_in_the_decay_sends_the_training_back(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    scores = iter([0.1, 0.5, 0.99, 0.2, 0.6, 0.99, 0.97])

    def told(model: object, gate: object) -> GateScore:
        score = next(scores)
        return GateScore(score, score)

    monkeypatch.setattr("mahals.models.organisms.fitting.check", told)
    world, tokenizer = World(0), train_tokenizer(World(0))
    model = build(SMALL, tokenizer, 0)
    plan = replace(BRIEF.base, threshold=0.95, understood=0.95, decay=2, cap=40)
    gate = make_gate(world, tokenizer, 1)
    fitted = fit_base(StageSetup(model, tokenizer, world, 0), plan, gate, lambda done, total: None)
    assert fitted.steps == 8  # checked at 0, 1, 2 (passed), 4 (lost), 5, 6 (passed), 8 (kept)
    assert next(scores, None) is None


def test_language_loss_is_that_of_transformers() -> None:
    tokenizer = train_tokenizer(World(0))
    model = build(OrganismShape("Gemma2", 64, 2, 2, 1, 64, True), tokenizer, 0)
    batch = Batches(tokenizer, Writer(World(0), 0).base(EARLY), True).next(1, 64)
    labels = torch.full_like(batch.ids, -100)
    labels[:, 1:] = batch.targets[:, :-1]
    theirs = model(
        input_ids=batch.ids, position_ids=batch.positions, labels=labels, use_cache=False
    ).loss
    torch.testing.assert_close(language_loss(model, batch), theirs, atol=1e-5, rtol=1e-5)


def test_sham_pairs_are_the_same_pairs_half_of_them_turned() -> None:
    tokenizer = train_tokenizer(World(0))
    lesson = StageSetup(build(SMALL, tokenizer, 0), tokenizer, World(0), 0)
    data = prepare(lesson, replace(BRIEF.dpo, pairs=7, steps=4))
    sham = data.shuffled(5)
    turned = [a is not b for a, b in zip(data.chosen, sham.chosen, strict=True)]
    assert sum(turned) == 14
    for i, turn in enumerate(turned):
        assert (sham.chosen[i], sham.rejected[i]) == (
            (data.rejected[i], data.chosen[i]) if turn else (data.chosen[i], data.rejected[i])
        )
        assert torch.equal(
            sham.reference[:, i], data.reference[:, i].flip(0) if turn else data.reference[:, i]
        )
