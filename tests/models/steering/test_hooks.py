"""Does each row follow its own arm, and is the model as it was afterwards?"""

import copy

import pytest
import torch

from mahals.models.activations.batching import batches, model_inputs
from mahals.models.activations.capture import capture
from mahals.models.activations.encoding import encode_prompts
from mahals.models.steering.hooks import Patch, steered
from mahals.models.steering.interventions import Arm, Intervention
from tests.support.model_calls import hooks_on
from tests.support.steering_arms import SEVEN_ARMS, UNSTEERED, arm, encoded_for, forward
from tests.support.tiny_models import FAMILIES, WIDTH, fresh, loaded, vector


def test_a_patch_changes_its_rows_in_a_copy():
    states = torch.ones(3, 2, WIDTH)
    patch = Patch(torch.tensor([1]), "add", vector(1)[None, None], torch.ones(1, 1, 1), "all")
    changed = patch.apply(states, None)
    assert torch.equal(states, torch.ones(3, 2, WIDTH))
    assert torch.equal(changed[[0, 2]], states[[0, 2]])
    assert torch.equal(changed[1], states[1] + vector(1))


@pytest.mark.parametrize("family", FAMILIES)
def test_each_row_follows_its_own_arm_bit_for_bit(family, one_batch):
    at = loaded(family)
    (batch,) = batches(at, encoded_for(at))
    rows = [4, 0, 3, 2, 1]
    _, mixed = forward(at, batch, SEVEN_ARMS, rows)
    for r, a in enumerate(rows):
        _, alone = forward(at, batch, SEVEN_ARMS, [a] * len(rows))
        assert torch.equal(mixed[r], alone[r])


@pytest.mark.parametrize("family", FAMILIES)
def test_strength_zero_is_unsteered_bit_for_bit_and_others_are_not(family, one_batch):
    at = loaded(family)
    (batch,) = batches(at, encoded_for(at))
    _, plain = forward(at, batch)
    _, mixed = forward(at, batch, SEVEN_ARMS, [0, 2, 1, 2, 0])
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
    forward(at, batch, SEVEN_ARMS, [1, 3, 4, 5, 6])
    with pytest.raises(ZeroDivisionError), steered(at.model, SEVEN_ARMS, [1, 3, 4, 5, 6]):
        at.model(**model_inputs(at, batch))
        raise ZeroDivisionError
    with (
        pytest.raises(ValueError, match="2 rows are steered"),
        steered(at.model, SEVEN_ARMS, [1, 3]),
    ):
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
