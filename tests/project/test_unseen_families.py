"""Do capture, steering and pricing agree with naive hooks on families no line of code names?"""

import math

import pytest
import torch
import torch.nn.functional as functional

from mahals.models.activations.capture import capture
from mahals.models.activations.encoding import encode_texts
from mahals.models.checkpoints.fitness import check_fitness
from mahals.models.generation.price import neutral_price
from mahals.models.steering.interventions import Arm, Intervention
from tests.support.other_families import other
from tests.support.tiny_models import LAYERS, PROMPTS, loaded, vector

UNSEEN = ("GPTNeoX", "OPT", "OPT, norm after", "Qwen3", "Phi", "Olmo2", "Gemma3")
BLOCKS = {"GPTNeoX": "gpt_neox.layers", "OPT": "model.decoder.layers"}  # else model.layers
BLOCK, STRENGTH = 1, 1.5


def tiny(family):
    return loaded(family) if family == "GPTNeoX" else other(family)


def naive(at, family, ids, direction):
    """(L, t, d) states and (t, v) logits of one text, alone, with a plain hook that adds."""
    blocks = at.model.get_submodule(BLOCKS.get(family.partition(",")[0], "model.layers"))
    kept = [None] * LAYERS

    def hook_of(number):
        def hook(_, __, output):
            whole = isinstance(output, torch.Tensor)
            states = output if whole else output[0]
            if number == BLOCK and direction is not None:
                states = states + STRENGTH * direction
            kept[number] = states[0]
            return states if whole else (states, *output[1:])

        return hook

    handles = [block.register_forward_hook(hook_of(i)) for i, block in enumerate(blocks)]
    try:
        with torch.inference_mode():
            logits = at.model(torch.tensor([ids])).logits[0]
    finally:
        for handle in handles:
            handle.remove()
    return torch.stack(kept), logits.double().log_softmax(-1)


@pytest.mark.parametrize("family", UNSEEN)
def test_states_and_prices_are_those_of_naive_hooks(family):
    at, direction = tiny(family), vector(3)
    check_fitness(at.model, len(at.tokenizer))
    texts = encode_texts(at.tokenizer, PROMPTS)
    arms = [Arm("none", ()), Arm("added", (Intervention(BLOCK, direction, STRENGTH, "add"),))]
    states = capture(at, texts, range(LAYERS), "last")
    price = neutral_price(at, texts, arms)
    kl = nats = 0.0
    for row, text in enumerate(texts):
        plain, before = naive(at, family, text.ids, None)
        torch.testing.assert_close(states[row], plain[:, -1], rtol=1e-4, atol=1e-4)
        moved, after = naive(at, family, text.ids, direction)
        assert not torch.allclose(moved[-1], plain[-1], rtol=1e-3)
        kl += float(functional.kl_div(after, before, log_target=True, reduction="sum"))
        nats += float(functional.nll_loss(after[:-1], torch.tensor(text.ids)[1:], reduction="sum"))
    tokens = sum(len(text.ids) for text in texts)
    assert price.kl[0].item() == 0.0
    assert price.kl[1].item() == pytest.approx(kl / tokens, rel=1e-3, abs=1e-5)
    assert price.kl[1].item() > 1e-3
    expected = math.exp(nats / (tokens - len(texts)))
    assert price.perplexity[1].item() == pytest.approx(expected, rel=1e-4)
