"""Is the divergence of latents that are held that of distributions computed by plain hooks?"""

from __future__ import annotations

import pytest
import torch

from mahals.models.activations.encoding import encode_answers
from mahals.models.generation.divergence import hold_divergence
from mahals.models.saes.steering import Hold
from mahals.records import InputError
from tests.support.held_latents import SILENT, by_hand, wide
from tests.support.model_calls import hooks_on
from tests.support.steering_arms import UNSTEERED
from tests.support.tiny_models import PROMPTS, loaded

SAE = wide()
HOLDS = [Hold(1, SAE, (7, 2, 30), 0.0), Hold(2, SAE, (0,), 0.0), Hold(1, SAE, SILENT, 0.0)]


def encoded(family: str):
    return encode_answers(loaded(family).tokenizer, PROMPTS, PROMPTS[::-1])


@pytest.mark.parametrize("family", ["Llama", "GPT2"])
def test_the_divergence_is_that_of_plain_hooks(family, one_batch):
    at, texts = loaded(family), encoded(family)
    for hold, found in zip(HOLDS, hold_divergence(at, texts, HOLDS), strict=True):
        sums = tokens = 0.0
        for text in texts:
            logs = []
            for holds in ((), (hold,)):
                with by_hand(at, holds, UNSTEERED):
                    logits = at.model(torch.tensor([text.ids]), use_cache=False).logits[0]
                logs.append(logits[text.start : text.stop].double().log_softmax(-1))
            one, other = logs
            sums += float(torch.nn.functional.kl_div(other, one, log_target=True, reduction="sum"))
            tokens += text.stop - text.start
        assert found == pytest.approx(sums / tokens, rel=1e-3, abs=1e-7)


def test_silent_latents_change_nothing_and_nothing_is_left_behind(monkeypatch):
    at, texts = loaded("Llama"), encoded("Llama")
    moved, _, still = hold_divergence(at, texts, HOLDS)
    assert still == 0 and moved > 1e-4 and hooks_on(at.model) == 0
    monkeypatch.setattr("mahals.models.activations.budget.TOKENS_ON_CPU", 40)
    assert hold_divergence(at, texts, HOLDS[:1]) == pytest.approx([moved], rel=1e-4)


def test_no_texts_are_refused():
    with pytest.raises(InputError, match="texts"):
        hold_divergence(loaded("Llama"), [], HOLDS)
