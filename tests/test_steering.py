import copy

import pytest
import torch

from mahals.models.activations.batching import batches, model_inputs
from mahals.models.activations.capture import capture, state_of
from mahals.models.activations.encoding import encode_prompts
from mahals.models.checkpoints.blocks import decoder_blocks
from mahals.models.steering.batch_invariance import check_batched
from mahals.models.steering.hooks import Patch, Steering, steered
from mahals.models.steering.interventions import Arm, Intervention
from mahals.models.steering.operators import ablate, add, add_preserve_norm
from mahals.models.steering.replay import capture_arms, replays
from mahals.records import InputError
from tests.support.tiny_models import FAMILIES, LAYERS, PROMPTS, WIDTH, fresh, loaded

UNSTEERED = Arm("unsteered", ())


def vector(seed, size=WIDTH):
    return torch.randn(size, generator=torch.Generator().manual_seed(seed))


def arm(*steps):
    return Arm("arm", tuple(Intervention(b, vector(10 + b), s, op) for b, s, op in steps))


ARMS = (
    UNSTEERED,
    arm((1, 0.7, "add")),
    arm((1, 0.0, "add"), (2, 0.0, "ablate")),
    arm((2, 1.5, "add_preserve_norm")),
    arm((0, 0.5, "add"), (1, 1.0, "ablate"), (1, -0.4, "add"), (3, 0.3, "add_preserve_norm")),
    arm((3, 2.0, "ablate")),
    arm((1, 0.0, "add"), (2, 0.9, "add")),
)


@pytest.fixture
def one_batch(monkeypatch):
    monkeypatch.setattr(
        "mahals.models.activations.batching.grouped", lambda n, *_: [tuple(range(len(n)))]
    )


def encoded_for(at):
    return encode_prompts(at.tokenizer, PROMPTS)


def forward(at, batch, arms=None, rows=None):
    """(block -> states, logits) of a full forward, steered if arms are given."""
    kept = {}

    def run():
        handles = [
            b.register_forward_hook(lambda m, a, out, i=i: kept.update({i: state_of(out)}))
            for i, b in enumerate(decoder_blocks(at.model))
        ]
        with torch.inference_mode():
            logits = at.model(**model_inputs(at, batch), use_cache=False).logits
        for handle in handles:
            handle.remove()
        return logits

    if arms is None:
        return kept, run()
    with steered(at.model, arms, rows):
        return kept, run()


def hooks_on(model):
    return sum(len(m._forward_hooks) + len(m._forward_pre_hooks) for m in model.modules())


# operators, by hand


def test_operators_by_hand():
    h = torch.tensor([[[3.0, 4.0]]])
    v, s = torch.tensor([0.0, 2.0]), torch.tensor(1.5)
    assert torch.equal(add(h, v, s), torch.tensor([[[3.0, 7.0]]]))
    kept = add_preserve_norm(h, v, s)
    torch.testing.assert_close(kept, torch.tensor([[[3.0, 7.0]]]) * 5 / 58**0.5)
    assert torch.equal(ablate(h, v, torch.tensor(1.0)), torch.tensor([[[3.0, 0.0]]]))
    assert torch.equal(ablate(h, v, torch.tensor(2.0)), torch.tensor([[[3.0, -4.0]]]))
    gone = add_preserve_norm(h, -h[0, 0], torch.tensor(1.0))
    assert bool(torch.isfinite(gone).all())


def test_a_patch_changes_its_rows_in_a_copy():
    states = torch.ones(3, 2, WIDTH)
    patch = Patch(torch.tensor([1]), "add", vector(1)[None, None], torch.ones(1, 1, 1))
    changed = patch.apply(states)
    assert torch.equal(states, torch.ones(3, 2, WIDTH))
    assert torch.equal(changed[[0, 2]], states[[0, 2]])
    assert torch.equal(changed[1], states[1] + vector(1))


# the context manager


@pytest.mark.parametrize("family", FAMILIES)
def test_each_row_follows_its_own_arm_bit_for_bit(family, one_batch):
    at = loaded(family)
    (batch,) = batches(at, encoded_for(at))
    rows = [4, 0, 3, 2, 1]
    _, mixed = forward(at, batch, ARMS, rows)
    for r, a in enumerate(rows):
        _, alone = forward(at, batch, ARMS, [a] * len(rows))
        assert torch.equal(mixed[r], alone[r])


@pytest.mark.parametrize("family", FAMILIES)
def test_strength_zero_is_unsteered_bit_for_bit_and_others_are_not(family, one_batch):
    at = loaded(family)
    (batch,) = batches(at, encoded_for(at))
    _, plain = forward(at, batch)
    _, mixed = forward(at, batch, ARMS, [0, 2, 1, 2, 0])
    for r in (0, 1, 3, 4):
        assert torch.equal(mixed[r], plain[r])
    assert not torch.allclose(mixed[2], plain[2])


def test_minus_zero_survives_strength_zero():
    at = fresh("Llama")
    with torch.no_grad():
        for name, value in at.model.named_parameters():
            if "embed" in name or "down" in name or "o_proj" in name:
                value.zero_().neg_()
    (batch,) = batches(at, encode_prompts(at.tokenizer, ["cat", "mat"]))
    kept, _ = forward(at, batch, [UNSTEERED, arm((1, 1.0, "add"))], [0, 1])
    plain, _ = forward(at, batch)
    assert torch.equal(torch.signbit(kept[1][0]), torch.signbit(plain[1][0]))


@pytest.mark.parametrize("family", FAMILIES)
def test_the_model_is_as_it_was_also_after_errors(family, one_batch):
    at = loaded(family)
    (batch,) = batches(at, encoded_for(at))
    _, before = forward(at, batch)
    weights, hooks = copy.deepcopy(at.model.state_dict()), hooks_on(at.model)
    forward(at, batch, ARMS, [1, 3, 4, 5, 6])
    with pytest.raises(ZeroDivisionError), steered(at.model, ARMS, [1, 3, 4, 5, 6]):
        at.model(**model_inputs(at, batch))
        raise ZeroDivisionError
    with pytest.raises(ValueError, match="2 rows are steered"), steered(at.model, ARMS, [1, 3]):
        at.model(**model_inputs(at, batch))
    _, after = forward(at, batch)
    assert torch.equal(before, after) and hooks_on(at.model) == hooks
    assert all(torch.equal(v, weights[k]) for k, v in at.model.state_dict().items())


@pytest.mark.parametrize("family", FAMILIES)
def test_add_at_a_block_is_exactly_its_output_plus_the_vector(family, one_batch):
    at = loaded(family)
    (batch,) = batches(at, encoded_for(at))
    plain, _ = forward(at, batch)
    step = Intervention(2, vector(1), 0.8, "add")
    kept, _ = forward(at, batch, [Arm("a", (step,))], [0] * 5)
    assert torch.equal(kept[2], plain[2] + 0.8 * step.direction)
    assert torch.equal(kept[1], plain[1])
    assert not torch.allclose(kept[3], plain[3])


def test_steps_at_one_block_act_in_their_order(one_batch):
    at = loaded("Llama")
    (batch,) = batches(at, encoded_for(at))
    plain, _ = forward(at, batch)
    v = vector(3)
    unit = v / v.norm()
    both = Arm("both", (Intervention(2, v, 1.0, "ablate"), Intervention(2, v, 2.0, "add")))
    turned = Arm("turned", tuple(reversed(both.steps)))
    first, _ = forward(at, batch, [both], [0] * 5)
    second, _ = forward(at, batch, [turned], [0] * 5)
    along = (first[2] @ unit)[batch.mask.bool()]
    torch.testing.assert_close(along, torch.full_like(along, 2.0) * v.norm(), rtol=1e-4, atol=1e-4)
    assert ((second[2] @ unit)[batch.mask.bool()]).abs().max() < 1e-4
    assert torch.equal(plain[1], first[1])


class Passing(torch.nn.Module):
    def forward(self, states, **_):
        return states


def test_hooks_that_do_not_fire_are_an_error():
    at = fresh("Llama")
    encoded = encoded_for(at)[:1]
    late = [arm((3, 1.0, "add"))]
    with pytest.raises(RuntimeError, match="block 3"), steered(at.model, late, [0]):
        capture(at, encoded, [1], "mean")
    with pytest.raises(RuntimeError, match="no forward ran"), steered(at.model, late, [0]):
        pass
    ids, block = torch.tensor([encoded[0].ids]), at.model.model.layers[3]
    with pytest.raises(RuntimeError, match="in forward 2"), steered(at.model, late, [0]):
        at.model(ids)
        at.model.model.layers[3] = Passing()
        at.model(ids)
        at.model(ids)
    at.model.model.layers[3] = block
    assert hooks_on(at.model) == 0
    with steered(at.model, [UNSTEERED], [0]):
        pass  # nothing to steer: nothing to fire


def test_arms_that_do_not_fit_are_refused():
    at, good = loaded("Llama"), vector(1)
    bad = [
        (Intervention(LAYERS, good, 1.0, "add"), "block from 0 to 3"),
        (Intervention(-1, good, 1.0, "add"), "block from 0 to 3"),
        (Intervention(1, vector(1, WIDTH + 1), 1.0, "add"), r"shape \(33,\)"),
        (Intervention(1, good * float("nan"), 1.0, "add"), "finite strength"),
        (Intervention(1, good, float("inf"), "add"), "finite strength"),
        (Intervention(1, good * 0, 1.0, "ablate"), "not all 0 to ablate"),
        (Intervention(1, good, 1.0, "ad"), "did you mean 'add'"),
    ]
    for step, match in bad:
        with pytest.raises(InputError, match=match), steered(at.model, [Arm("x", (step,))], [0]):
            pass
        with pytest.raises(InputError, match=match):
            capture_arms(at, encoded_for(at), [Arm("x", (step,))], [3], "mean")
    with pytest.raises(ValueError, match="beyond 1"), steered(at.model, [UNSTEERED], [1]):
        pass
    with pytest.raises(InputError, match="arms"):
        capture_arms(at, encoded_for(at), [], [3], "mean")


# replay


@pytest.mark.parametrize("side", ["left", "right"])
@pytest.mark.parametrize("family", FAMILIES)
def test_replay_is_bit_equal_to_a_full_forward(family, side, one_batch):
    at = loaded(family)
    (batch,) = batches(at, encoded_for(at), side=side)
    assert int(batch.mask.sum()) < batch.mask.numel()  # padded: a dropped mask would show
    found = {}
    replays(at, batch, ARMS, LAYERS - 1, lambda a, b, h: found.update({(a, b): h.clone()}))
    plain, _ = forward(at, batch)
    for block in range(LAYERS):
        assert torch.equal(found[None, block], plain[block])
    for a, some in enumerate(ARMS):
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
    found = capture_arms(at, encoded, ARMS, layers, pool)
    assert found.shape == (len(ARMS), len(PROMPTS), 3, WIDTH)
    for a, some in enumerate(ARMS):
        with steered(at.model, [some], [0] * len(PROMPTS)):
            expected = capture(at, encoded, layers, pool)
        assert torch.equal(found[a], expected)
    assert torch.equal(found[0], capture(at, encoded, layers, pool))
    assert torch.equal(found[2], found[0])
    assert hooks_on(at.model) == 0


def test_arms_do_not_disturb_each_other():
    at = loaded("Falcon")
    encoded = encoded_for(at)
    together = capture_arms(at, encoded, ARMS, [3], "mean")
    for a in reversed(range(len(ARMS))):
        assert torch.equal(capture_arms(at, encoded, [ARMS[a]], [3], "mean")[0], together[a])


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


def test_a_text_is_read_alone_as_in_its_batch(monkeypatch, one_batch):
    for family in FAMILIES:
        at = loaded(family)
        for pool in ("mean", "last"):
            check_batched(at, encoded_for(at), ARMS[4], pool)
            check_batched(at, encoded_for(at), UNSTEERED, pool)
    assert hooks_on(at.model) == 0
    unmasked = "mahals.models.steering.replay.pooled"  # padding gets a weight
    monkeypatch.setattr(unmasked, lambda states, batch, pool: states.mean(dim=1))
    with pytest.raises(RuntimeError, match="and alone"):
        check_batched(at, encoded_for(at), ARMS[1], "mean_all")
