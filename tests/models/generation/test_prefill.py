"""Is each prompt read once up to the first steered block?"""

from contextlib import ExitStack

import pytest

from mahals.models.activations.encoding import encode_prompts
from mahals.models.checkpoints.blocks import decoder_blocks
from mahals.models.generation.decoding import generate_arms
from mahals.models.steering.interventions import Arm, Intervention
from tests.support.steering_arms import FOUR_ARMS, NEW, UNSTEERED
from tests.support.tiny_models import LAYERS, PROMPTS, fresh, loaded, vector


@pytest.mark.parametrize("first", [0, 1, LAYERS - 1, None])
def test_prompts_are_read_once_up_to_the_first_steered_block(first):
    """P prompts, A arms: P rows up to block s and P A above it; a lone arm reads its own rows."""
    at = loaded("Llama")
    encoded = encode_prompts(at.tokenizer, PROMPTS[:3])
    later = [] if first is None else [first, LAYERS - 1]
    arms = [UNSTEERED, *(Arm(f"{b}", (Intervention(b, vector(b), 1.0, "add"),)) for b in later)]
    arms += [UNSTEERED] * (4 - len(arms))
    rows = [0] * LAYERS
    with ExitStack() as stack:
        for i, block in enumerate(decoder_blocks(at.model)):

            def count(_, args, i=i):
                rows[i] += args[0].shape[0] if args[0].shape[1] > 1 else 0

            stack.callback(block.mlp.register_forward_pre_hook(count).remove)
        together = generate_arms(at, encoded, arms, NEW)
        shared = LAYERS if first is None else first + 1
        assert rows == [3] * shared + [12] * (LAYERS - shared)
        rows[:] = [0] * LAYERS
        alone = [generate_arms(at, encoded, [arm], NEW)[0] for arm in arms]
        assert rows == [12] * LAYERS and alone == together


def test_the_model_is_as_it_was_after_prompts_were_read_once():
    at = fresh("Llama")
    encoded = encode_prompts(at.tokenizer, PROMPTS)
    blocks = decoder_blocks(at.model)
    moved = blocks[0].forward  # as a library does that moves weights
    blocks[0].forward = moved
    before = generate_arms(at, encoded, [UNSTEERED], NEW)
    assert generate_arms(at, encoded, [UNSTEERED, FOUR_ARMS[3]], NEW)[0] == before[0]
    handle = blocks[3].register_forward_pre_hook(lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        generate_arms(at, encoded, FOUR_ARMS, NEW)
    handle.remove()
    assert vars(blocks[0])["forward"] is moved
    assert not any("forward" in vars(block) for block in blocks[1:])
    assert generate_arms(at, encoded, [UNSTEERED], NEW) == before
