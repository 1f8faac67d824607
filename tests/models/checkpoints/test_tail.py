"""Is the tail the model's own, whatever its family does around the head?"""

import pytest
import torch
from torch.nn.functional import log_softmax
from transformers import LlamaForCausalLM

from mahals.models.activations.encoding import encode_texts
from mahals.models.checkpoints.blocks import decoder_blocks
from mahals.models.checkpoints.tail import vocabulary_tail
from mahals.models.generation.price import neutral_price
from mahals.models.steering.hooks import steered
from mahals.models.steering.interventions import Arm, Intervention
from mahals.records import InputError
from tests.support.checkpoint_folders import IDS
from tests.support.other_families import PRICED, other
from tests.support.tiny_models import FAMILIES, PROMPTS, config, loaded, vector

ARMS = [Arm("unsteered", ()), Arm("add", (Intervention(1, vector(1), 1.2, "add"),))]


@pytest.mark.parametrize("family", [*FAMILIES, *PRICED])
def test_tail_gives_the_models_own_logits(family):
    at, kept = other(family) if family in PRICED else loaded(family), []
    handle = decoder_blocks(at.model)[-1].register_forward_hook(
        lambda m, a, out: kept.append(out if isinstance(out, torch.Tensor) else out[0])
    )
    with torch.inference_mode():
        logits = at.model(IDS).logits
        handle.remove()
        tail = vocabulary_tail(at.model)
        torch.testing.assert_close(tail(kept[0]), logits, rtol=1e-6, atol=1e-6)
        torch.testing.assert_close(tail(kept[0][0, 2]), logits[0, 2], rtol=1e-6, atol=1e-6)


def test_the_models_own_hooks_and_parts_stay_as_they_are():
    at, calls = loaded("GPT2"), []
    parts = list(at.model.modules())
    handles = [b.register_forward_hook(lambda *_: calls.append(1)) for b in at.model.transformer.h]
    try:
        tail = vocabulary_tail(at.model)
        calls.clear()
        tail(torch.zeros(3, 32))
        assert not calls
    finally:
        for handle in handles:
            handle.remove()
    assert all(a is b for a, b in zip(parts, at.model.modules(), strict=True))


@pytest.mark.parametrize("family", PRICED)
def test_price_equals_that_of_the_models_full_logits(family):
    at = other(family)
    encoded = encode_texts(at.tokenizer, PROMPTS)
    price = neutral_price(at, encoded, ARMS)
    kl, loss = [0.0, 0.0], [0.0, 0.0]
    for text in encoded:
        ids, logs = torch.tensor([text.ids]), []
        for arm in ARMS:
            with torch.inference_mode(), steered(at.model, [arm], [0]):
                logs.append(log_softmax(at.model(ids, use_cache=False).logits[0].double(), -1))
        for i, each in enumerate(logs):
            kl[i] += float((logs[0].exp() * (logs[0] - each)).sum())
            loss[i] -= float(each[:-1].gather(-1, ids[0, 1:, None]).sum())
    tokens = sum(len(text.ids) for text in encoded)
    assert price.kl.tolist() == pytest.approx([k / tokens for k in kl], rel=1e-4, abs=1e-6)
    assert price.kl[1] > 1e-3
    wanted = torch.tensor(loss, dtype=torch.float64).div(tokens - len(encoded)).exp()
    assert price.perplexity.tolist() == pytest.approx(wanted.tolist(), rel=1e-5)


class Shortcut(LlamaForCausalLM):
    """Logits that do not follow from the last block's states alone."""

    def forward(self, input_ids, **more):
        out = super().forward(input_ids, **more)
        out.logits = out.logits + 0.5 * self.lm_head(self.model.embed_tokens(input_ids))
        return out


class Silent(LlamaForCausalLM):
    """No logits."""

    def forward(self, input_ids, **more):
        out = super().forward(input_ids, **more)
        out.logits = None
        return out


@pytest.mark.parametrize("kind, got", [(Shortcut, "off by"), (Silent, "Error")])
def test_a_head_that_reads_more_than_the_last_states_is_refused(kind, got):
    model = kind(config("Llama")).eval()
    with pytest.raises(InputError, match=f"head of {kind.__name__}.*{got}"):
        vocabulary_tail(model)
