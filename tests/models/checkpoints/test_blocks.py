"""Are the blocks those that run?"""

import pytest
import torch

from mahals.models.checkpoints.blocks import decoder_blocks
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
