"""Are log-probabilities, KL and perplexity the model's own?"""

import math

import pytest
import torch
import torch.nn.functional as functional

from mahals.models.activations.encoding import Encoded, encode_answers, encode_texts
from mahals.models.checkpoints.blocks import decoder_blocks
from mahals.models.generation.price import logprob_arms, neutral_price
from mahals.models.steering.hooks import steered
from mahals.models.steering.interventions import Arm, Intervention
from mahals.records import InputError
from tests.support.steering_arms import FOUR_ARMS, UNSTEERED
from tests.support.tiny_models import FAMILIES, LAYERS, PROMPTS, loaded, vector


def logs_of(at, text, arm):
    """(t, vocabulary) float64 log-probabilities of one text under one arm, without a batch."""
    with torch.inference_mode(), steered(at.model, [arm], [0]):
        return at.model(torch.tensor([text.ids])).logits[0].double().log_softmax(-1)


@pytest.mark.parametrize("family", FAMILIES)
def test_log_probabilities_equal_the_models_own(family):
    at = loaded(family)
    encoded = encode_answers(at.tokenizer, PROMPTS, PROMPTS[::-1])
    found = logprob_arms(at, encoded, FOUR_ARMS)
    for a, arm in enumerate(FOUR_ARMS):
        for i, text in enumerate(encoded):
            logs = logs_of(at, text, arm)
            said = [float(logs[t - 1, text.ids[t]]) for t in range(text.start, text.stop)]
            assert found[a, i].item() == pytest.approx(sum(said) / len(said), abs=1e-5)
    assert torch.equal(found[0], found[2])


@pytest.mark.parametrize("family", FAMILIES)
def test_kl_and_perplexity_equal_the_models_own(family):
    at = loaded(family)
    encoded = encode_texts(at.tokenizer, PROMPTS)
    price = neutral_price(at, encoded, FOUR_ARMS)
    plain = [logs_of(at, text, UNSTEERED) for text in encoded]
    tokens = sum(len(t.ids) for t in encoded)
    for a, arm in enumerate(FOUR_ARMS):
        kl, nats = [], []
        for text, base in zip(encoded, plain, strict=True):
            logs = logs_of(at, text, arm)
            kl.append(functional.kl_div(logs, base, log_target=True, reduction="sum").item())
            ids = torch.tensor(text.ids)
            nats.append(functional.nll_loss(logs[:-1], ids[1:], reduction="sum").item())
        assert price.kl[a].item() == pytest.approx(sum(kl) / tokens, abs=1e-5)
        per_text = [k / len(t.ids) for k, t in zip(kl, encoded, strict=True)]
        assert price.per_text_kl[a].tolist() == pytest.approx(per_text, abs=1e-5)
        assert price.per_text_nats[a].tolist() == pytest.approx(nats, rel=1e-5)
        expected = math.exp(sum(nats) / (tokens - len(encoded)))
        assert price.perplexity[a].item() == pytest.approx(expected, rel=1e-5)
    assert price.predicted.tolist() == [len(t.ids) - 1 for t in encoded]
    assert price.kl[0].item() == 0.0 == price.kl[2].item()
    assert torch.equal(price.per_text_kl[0], torch.zeros(len(PROMPTS), dtype=torch.float64))


def test_the_price_of_arms_is_a_sweep_not_a_pass_each(monkeypatch):
    monkeypatch.setattr(
        "mahals.models.activations.batching.grouped", lambda n, *_: [tuple(range(len(n)))]
    )
    at, calls = loaded("Llama"), []
    handles = [
        b.register_forward_pre_hook(lambda *_, i=i: calls.append(i))
        for i, b in enumerate(decoder_blocks(at.model))
    ]
    arms = [Arm("a", (Intervention(1, vector(1), x, "add"),)) for x in (0.0, 0.5, 1.0)]
    try:
        neutral_price(at, encode_texts(at.tokenizer, PROMPTS), arms)
        check = LAYERS  # the head is checked on one short text
        assert len(calls) == check + LAYERS + 2 * (LAYERS - 1 - 1)
    finally:
        for handle in handles:
            handle.remove()


def test_texts_that_cannot_be_priced_are_refused():
    at = loaded("Llama")
    with pytest.raises(InputError, match="one of two tokens or more"):
        neutral_price(at, [Encoded((5,), 0, 1)], [UNSTEERED])
    with pytest.raises(InputError, match="encode_answers"):
        logprob_arms(at, [Encoded((5, 6), 0, 2)], [UNSTEERED])
    wild = Arm("wild", (Intervention(1, vector(1), 3e38, "add"),))
    with pytest.raises(InputError, match="arm wild"):
        neutral_price(at, encode_texts(at.tokenizer, ["the cat"]), [wild])
