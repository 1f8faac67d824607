"""Is a replay bit for bit a full forward, at the cost of the blocks above alone?"""

import pytest
import torch
from transformers import AutoModelForCausalLM

from mahals.models.activations.batching import batches
from mahals.models.activations.capture import capture
from mahals.models.activations.encoding import encode_prompts
from mahals.models.checkpoints.blocks import decoder_blocks
from mahals.models.checkpoints.checkpoint import Loaded
from mahals.models.steering.hooks import Steering, steered
from mahals.models.steering.interventions import Arm, Intervention
from mahals.models.steering.replay import capture_arms, capture_pools, replays
from mahals.records import InputError
from tests.support.model_calls import Calls, hooks_on
from tests.support.steering_arms import SEVEN_ARMS, UNSTEERED, arm, encoded_for, forward
from tests.support.tiny_models import FAMILIES, LAYERS, PROMPTS, WIDTH, config, loaded, tokenizer


@pytest.mark.parametrize("side", ["left", "right"])
@pytest.mark.parametrize("family", FAMILIES)
def test_replay_is_bit_equal_to_a_full_forward(family, side, one_batch):
    at = loaded(family)
    (batch,) = batches(at, encoded_for(at), side=side)
    assert int(batch.mask.sum()) < batch.mask.numel()  # padded: a dropped mask would show
    found = {}
    replays(at, batch, SEVEN_ARMS, LAYERS - 1, lambda a, b, h: found.update({(a, b): h.clone()}))
    plain, _ = forward(at, batch)
    for block in range(LAYERS):
        assert torch.equal(found[None, block], plain[block])
    for a, some in enumerate(SEVEN_ARMS):
        full, _ = forward(at, batch, [some], [0] * 5)
        for block in range(LAYERS):
            if some.first is not None and block >= some.first:
                assert torch.equal(found[a, block], full[block])
            else:
                assert (a, block) not in found and torch.equal(plain[block], full[block])


@pytest.mark.parametrize("family", FAMILIES)
def test_a_sweep_calls_l_plus_c_times_l_minus_1_minus_s_blocks(family, one_batch):
    at, calls = loaded(family), []
    handles = [
        b.register_forward_pre_hook(lambda *_, i=i: calls.append(i))
        for i, b in enumerate(decoder_blocks(at.model))
    ]
    s, lambdas = 1, [0.0, 0.25, 0.5, 1.0]
    arms = [arm((s, x, "add")) for x in lambdas]
    try:
        capture_arms(at, encoded_for(at), arms, [LAYERS - 1], "mean")
        assert len(calls) == LAYERS + 3 * (LAYERS - 1 - s)
        calls.clear()
        capture_arms(at, encoded_for(at), [*arms, arm((2, 1.0, "add"))], [2], "mean")
        assert len(calls) == 3 + 3 * 1 + 0  # stops after block 2; an arm at 2 replays nothing
    finally:
        for handle in handles:
            handle.remove()


@pytest.mark.parametrize("pool", ["mean", "last"])
def test_captured_arms_equal_capture_inside_steered(pool, one_batch):
    at = loaded("Gemma2")
    encoded, layers = encoded_for(at), [3, 0, 1]
    found = capture_arms(at, encoded, SEVEN_ARMS, layers, pool)
    assert found.shape == (len(SEVEN_ARMS), len(PROMPTS), 3, WIDTH)
    for a, some in enumerate(SEVEN_ARMS):
        with steered(at.model, [some], [0] * len(PROMPTS)):
            expected = capture(at, encoded, layers, pool)
        assert torch.equal(found[a], expected)
    assert torch.equal(found[0], capture(at, encoded, layers, pool))
    assert torch.equal(found[2], found[0])
    assert hooks_on(at.model) == 0


def test_two_readouts_of_one_pass_are_those_of_a_pass_each():
    at, calls = loaded("Gemma2"), []
    encoded, layers = encoded_for(at), [3, 1]
    handle = decoder_blocks(at.model)[0].register_forward_pre_hook(lambda *_: calls.append(1))
    both = capture_pools(at, encoded, SEVEN_ARMS, layers, ("mean", "last"))
    passes = len(calls)
    alone = [capture_arms(at, encoded, SEVEN_ARMS, layers, pool) for pool in ("mean", "last")]
    handle.remove()
    assert torch.equal(both, torch.stack(alone)) and len(calls) == 3 * passes
    assert not torch.equal(both[0], both[1])
    with pytest.raises(InputError):
        capture_pools(at, encoded, SEVEN_ARMS, layers, ("mean", "first"))


def test_arms_do_not_disturb_each_other():
    at = loaded("Falcon")
    encoded = encoded_for(at)
    together = capture_arms(at, encoded, SEVEN_ARMS, [3], "mean")
    for a in reversed(range(len(SEVEN_ARMS))):
        assert torch.equal(capture_arms(at, encoded, [SEVEN_ARMS[a]], [3], "mean")[0], together[a])


def test_an_arm_that_overflows_is_refused():
    at = loaded("Llama")
    with pytest.raises(InputError, match="lower the strength"):
        capture_arms(at, encoded_for(at), [arm((1, 3e38, "add"))], [3], "mean")


def test_a_patch_dropped_in_a_replay_is_an_error(monkeypatch):
    at, patches = loaded("Llama"), Steering._patches
    two = arm((1, 0.7, "add"), (2, 0.4, "add"))
    monkeypatch.setattr(Steering, "_patches", lambda s, b: [] if b == 2 else patches(s, b))
    with pytest.raises(RuntimeError, match="0 of 1 steps acted on block 2"):
        capture_arms(at, encoded_for(at), [UNSTEERED, two], [3], "mean")
    capture_arms(at, encoded_for(at), [two], [1], "mean")  # block 2 is never reached


DEEP, STEERED = 32, 5
STRENGTHS = (0.0, 0.25, 0.5, 0.75, 1.0)


def deep_model():
    """32 blocks, as the published checkpoints have."""
    shape = config("Llama")
    shape.num_hidden_layers = DEEP
    shape.layer_types = None
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = AutoModelForCausalLM.from_config(shape).eval()
    return Loaded(model, tokenizer(), "deep", "base", "tiny:0", DEEP, WIDTH, "organism")


def test_a_sweep_of_the_last_five_of_32_blocks_is_7_8_times_fewer_calls(monkeypatch):
    monkeypatch.setattr(
        "mahals.models.activations.batching.grouped", lambda n, *_: [tuple(range(len(n)))]
    )
    at = deep_model()
    encoded = encode_prompts(at.tokenizer, PROMPTS[:2])
    arms = []
    for v in range(7):
        rows = torch.randn(DEEP, WIDTH, generator=torch.Generator().manual_seed(v))
        for x in STRENGTHS:
            steps = tuple(Intervention(b, rows[b], x, "add") for b in range(DEEP - STEERED, DEEP))
            arms.append(Arm(f"{v} {x}", steps))
    with Calls(at) as swept:
        found = capture_arms(at, encoded, arms, [DEEP - 1], "mean")
    with Calls(at) as naive:
        for a, arm in enumerate(arms):
            with steered(at.model, [arm], [0, 0]):
                assert torch.equal(found[a], capture(at, encoded, [DEEP - 1], "mean"))
    first = DEEP - STEERED
    assert swept.blocks == DEEP + 28 * (DEEP - 1 - first)  # 4 of 5 strengths x 7 vectors are > 0
    assert naive.blocks == 35 * DEEP
    assert naive.blocks / swept.blocks == pytest.approx(7.8, abs=0.05)
    assert swept.heads == naive.heads == 0
