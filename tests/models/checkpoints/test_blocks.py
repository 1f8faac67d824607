"""Are the blocks those that run, and is the tail the model's own?"""

import pytest
import torch
from transformers import CohereConfig, CohereForCausalLM

from mahals.models.checkpoints.blocks import decoder_blocks, vocabulary_tail
from mahals.records import InputError
from tests.support.checkpoint_folders import IDS
from tests.support.tiny_models import FAMILIES, LAYERS, config, loaded


@pytest.mark.parametrize("family", FAMILIES)
def test_blocks_are_the_ones_that_run(family):
    at = loaded(family)
    blocks = decoder_blocks(at.model)
    ran = []
    handles = [b.register_forward_hook(lambda m, *_: ran.append(m)) for b in blocks]
    at.model(IDS)
    for handle in handles:
        handle.remove()
    assert len(blocks) == LAYERS and all(a is b for a, b in zip(ran, blocks, strict=True))


def test_no_blocks_is_an_error():
    model = torch.nn.Linear(2, 2)
    model.config = config("Llama")
    with pytest.raises(InputError, match="one list of 4 blocks"):
        decoder_blocks(model)


@pytest.mark.parametrize("family", FAMILIES)
def test_tail_gives_the_models_own_logits(family):
    at, kept = loaded(family), []
    handle = decoder_blocks(at.model)[-1].register_forward_hook(
        lambda m, a, out: kept.append(out if isinstance(out, torch.Tensor) else out[0])
    )
    with torch.inference_mode():
        logits = at.model(IDS).logits
        assert torch.equal(vocabulary_tail(at.model)(kept[0]), logits)
    handle.remove()


def test_an_unknown_head_is_refused():
    sizes = {"hidden_size": 32, "intermediate_size": 32, "num_attention_heads": 2}
    made = CohereConfig(vocab_size=64, num_hidden_layers=2, logit_scale=0.1, **sizes)
    with pytest.raises(InputError, match="head of CohereForCausalLM"):
        vocabulary_tail(CohereForCausalLM(made).eval())
