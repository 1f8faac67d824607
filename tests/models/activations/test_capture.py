"""Are captured states those of the blocks, in any batch, and is nothing left on the model?"""

import pytest
import torch

from mahals.models.activations.capture import capture, embeddings
from mahals.models.activations.encoding import Encoded, encode_prompts
from mahals.models.checkpoints.blocks import decoder_blocks
from mahals.records import InputError
from tests.support.model_calls import Calls, hooks_on
from tests.support.tiny_models import FAMILIES, LAYERS, PROMPTS, fresh, loaded


def by_hand(at, text, pool):
    """(L, d) states of one text, without a batch: hooks on the blocks, pooled by slicing."""
    kept = []
    handles = [
        b.register_forward_hook(
            lambda m, a, out: kept.append(out[0] if isinstance(out, torch.Tensor) else out[0][0])
        )
        for b in decoder_blocks(at.model)
    ]
    with torch.inference_mode():
        at.model(torch.tensor([text.ids]))
    for handle in handles:
        handle.remove()
    states = torch.stack(kept)
    if pool == "last":
        return states[:, -1]
    part = states[:, text.start : text.stop] if pool == "mean" else states
    return part.mean(1)


@pytest.mark.parametrize("pool", ["mean", "mean_all", "last"])
@pytest.mark.parametrize("side", ["left", "right"])
@pytest.mark.parametrize("family", FAMILIES)
def test_batched_states_equal_single_ones(family, side, pool, one_batch):
    at = loaded(family)
    encoded = encode_prompts(at.tokenizer, PROMPTS)
    found = capture(at, encoded, range(LAYERS), pool, side=side)
    expected = torch.stack([by_hand(at, text, pool) for text in encoded])
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-5)


def test_a_state_does_not_depend_on_its_batch():
    at = loaded("Gemma2")
    encoded = encode_prompts(at.tokenizer, PROMPTS)
    together = capture(at, encoded, [3], "mean")
    alone = torch.cat([capture(at, [text], [3], "mean") for text in encoded])
    torch.testing.assert_close(together, alone, rtol=1e-5, atol=1e-5)
    assert torch.equal(together, capture(at, encoded, [3], "mean"))


@pytest.mark.parametrize("family", FAMILIES)
def test_states_are_the_blocks_not_the_shifted_and_normed_hidden_states(family):
    at = fresh(family)  # output_hidden_states leaves hooks of transformers on a model
    encoded = encode_prompts(at.tokenizer, ["cat on the mat"])
    with torch.inference_mode():
        hidden = at.model(torch.tensor([encoded[0].ids]), output_hidden_states=True).hidden_states
    found = capture(at, encoded, range(LAYERS), "last")[0]
    for block in range(LAYERS - 1):
        torch.testing.assert_close(found[block], hidden[block + 1][0, -1])
    assert not torch.allclose(found[-1], hidden[-1][0, -1], rtol=1e-2)
    torch.testing.assert_close(embeddings(at, encoded, "last")[0], hidden[0][0, -1])


def test_columns_follow_the_blocks_asked_for():
    at = loaded("Phi3")
    encoded = encode_prompts(at.tokenizer, PROMPTS)
    whole = capture(at, encoded, [0, 1, 2, 3], "mean")
    assert torch.equal(capture(at, encoded, [2, 0, 2], "mean"), whole[:, [2, 0, 2]])


@pytest.mark.parametrize("family", FAMILIES)
def test_reading_block_k_calls_k_plus_1_blocks_and_no_head(family):
    at = loaded(family)
    calls, heads = [], []
    handles = [
        b.register_forward_pre_hook(lambda *_, i=i: calls.append(i))
        for i, b in enumerate(decoder_blocks(at.model))
    ]
    handles.append(
        at.model.get_output_embeddings().register_forward_pre_hook(lambda *_: heads.append(1))
    )
    try:
        capture(at, encode_prompts(at.tokenizer, ["cat"]), [1, 2], "mean")
        assert calls == [0, 1, 2] and not heads
        embeddings(at, encode_prompts(at.tokenizer, ["cat"]), "mean")
        assert calls == [0, 1, 2, 0] and not heads
    finally:
        for handle in handles:
            handle.remove()


def test_nothing_is_left_on_the_model_also_after_an_error():
    at = fresh("Llama")
    encoded = encode_prompts(at.tokenizer, PROMPTS)
    capture(at, encoded, [0, 3], "mean")
    embeddings(at, encoded, "mean")
    assert hooks_on(at.model) == 0
    at.model.model.layers[2].mlp.forward = lambda _: 1 / 0
    with pytest.raises(ZeroDivisionError):
        capture(at, encoded, [0, 3], "mean")
    assert hooks_on(at.model) == 0


def test_bad_requests_are_refused():
    at = loaded("Llama")
    encoded = encode_prompts(at.tokenizer, ["cat"])
    for layers in ([-1], [LAYERS], []):
        with pytest.raises(InputError, match="blocks of Llama"):
            capture(at, encoded, layers, "mean")
    with pytest.raises(InputError, match="unknown pool"):
        capture(at, encoded, [0], "median")
    with pytest.raises(InputError, match="at least one"):
        capture(at, [], [0], "mean")
    with pytest.raises(InputError, match="at most 128 tokens"):
        capture(at, [Encoded((1,) * 129, 0, 129)], [0], "mean")


def test_states_that_are_not_finite_are_refused():
    at = fresh("Llama")
    with torch.no_grad():
        at.model.model.layers[1].mlp.up_proj.weight[0, 0] = float("nan")
    with pytest.raises(InputError, match="states of Llama"):
        capture(at, encode_prompts(at.tokenizer, ["cat"]), [2], "mean")


@pytest.mark.parametrize("family", FAMILIES)
def test_reading_any_block_stops_there(family):
    at = loaded(family)
    encoded = encode_prompts(at.tokenizer, ["cat"])
    for block in range(LAYERS):
        with Calls(at) as seen:
            capture(at, encoded, [block], "last")
        assert (seen.blocks, seen.heads) == (block + 1, 0)
