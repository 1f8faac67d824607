"""Does each row hold its own latents, before anything is added, and is nothing left behind?"""

import copy

import pytest
import torch

from mahals.models.activations.batching import batches, model_inputs
from mahals.models.activations.capture import capture
from mahals.models.activations.encoding import encode_prompts
from mahals.models.saes.steering import Hold
from mahals.models.steering.holding import Holding, held
from mahals.models.steering.hooks import steered
from mahals.models.steering.interventions import Arm, Intervention
from mahals.records import InputError
from tests.support.held_latents import SILENT, by_hand, wide
from tests.support.model_calls import hooks_on
from tests.support.small_saes import small
from tests.support.steering_arms import UNSTEERED, encoded_for, forward
from tests.support.tiny_models import LAYERS, WIDTH, fresh, loaded, two_quick, vector

FIRST = Hold(1, wide(), (7, 2, 30), 1.0)
OTHER = Hold(1, wide("topk", seed=8), (5, 2), 0.0)
LATE = Hold(2, wide("jumprelu"), (0, 9), 0.7)
HOLDS = ((FIRST,), (), (FIRST, OTHER), (OTHER, FIRST, LATE), (LATE,))
ADD = Arm("add", (Intervention(1, vector(1), 1.3, "add"), Intervention(2, vector(2), -0.8, "add")))


def run(at, batch, holds, arms, *, hooks_first=True):
    """(block -> states, logits) with holds and arms, entered in either order."""
    rows = range(len(arms))
    if hooks_first:
        with held(at.model, holds):
            return forward(at, batch, arms, rows)
    with steered(at.model, arms, rows), held(at.model, holds):
        return forward(at, batch)


@pytest.mark.parametrize("hooks_first", [True, False])
@pytest.mark.parametrize("family", two_quick(["Llama", "Mistral", "Qwen2", "Gemma2", "GPT2"]))
def test_holds_and_adds_in_one_batch_equal_the_formula_row_by_row(family, hooks_first, one_batch):
    at = loaded(family)
    encoded = encoded_for(at)
    (batch,) = batches(at, encoded)
    arms = [ADD, ADD, ADD, UNSTEERED, ADD]
    kept, logits = run(at, batch, HOLDS, arms, hooks_first=hooks_first)
    for row, text in enumerate(batch.rows):
        length = len(encoded[text].ids)
        with by_hand(at, HOLDS[row], arms[row]) as states:
            alone = at.model(torch.tensor([encoded[text].ids]), use_cache=False).logits[0]
        torch.testing.assert_close(logits[row, :length], alone, rtol=1e-3, atol=1e-3)
        for block in range(LAYERS):
            one = kept[block][row, :length]
            torch.testing.assert_close(one, states[block][0], rtol=1e-3, atol=1e-3)


def test_rows_without_holds_and_silent_latents_stay_bit_for_bit(one_batch):
    at = loaded("Llama")
    (batch,) = batches(at, encoded_for(at))
    arms = [ADD, UNSTEERED, ADD, UNSTEERED, ADD]
    plain, before = forward(at, batch, arms, range(5))
    silent = tuple(Hold(b, wide(), SILENT, 0.0) for b in range(LAYERS))
    kept, logits = run(at, batch, [(), (), silent, silent, (FIRST,)], arms)
    for row in range(4):
        assert torch.equal(logits[row], before[row])
        assert all(torch.equal(kept[b][row], plain[b][row]) for b in range(LAYERS))
    assert not torch.allclose(logits[4], before[4])
    with held(at.model, [()] * 5):
        assert torch.equal(forward(at, batch)[1], forward(at, batch)[1])


def test_given_states_stay_as_they_are():
    states = torch.ones(2, 3, WIDTH)
    changed = Holding([(FIRST,), ()]).apply(1, states)
    assert torch.equal(states, torch.ones(2, 3, WIDTH))
    assert torch.equal(changed[1], states[1]) and not torch.allclose(changed[0], states[0])


def test_rows_that_leave_take_their_holds_along(one_batch):
    at = loaded("Llama")
    encoded = encoded_for(at)
    (batch,) = batches(at, [encoded[1]] * 3)
    with held(at.model, [(FIRST,), (), (LATE,)]) as holding:
        _, all_three = forward(at, batch)
        (two,) = batches(at, [encoded[1]] * 2)
        holding.select([2, 0])
        _, turned = forward(at, two)
    torch.testing.assert_close(turned, all_three[[2, 0]])
    assert not torch.allclose(turned[0], turned[1], atol=1e-2)


def test_the_model_is_as_it_was_also_after_errors(one_batch):
    at = loaded("Gemma2")
    (batch,) = batches(at, encoded_for(at))
    _, before = forward(at, batch)
    weights, hooks = copy.deepcopy(at.model.state_dict()), hooks_on(at.model)
    run(at, batch, HOLDS, [ADD] * 5)
    with pytest.raises(ZeroDivisionError), held(at.model, HOLDS):
        at.model(**model_inputs(at, batch))
        raise ZeroDivisionError
    with pytest.raises(ValueError, match="2 rows hold"), held(at.model, HOLDS[:2]):
        at.model(**model_inputs(at, batch))
    _, after = forward(at, batch)
    assert torch.equal(before, after) and hooks_on(at.model) == hooks
    assert all(torch.equal(v, weights[k]) for k, v in at.model.state_dict().items())


def test_holds_that_do_not_act_are_an_error():
    at = fresh("Llama")
    encoded = encode_prompts(at.tokenizer, ["cat"])
    with pytest.raises(RuntimeError, match="block 2"), held(at.model, [(LATE,)]):
        capture(at, encoded, [1], "mean")
    with pytest.raises(RuntimeError, match="in 0 forwards"), held(at.model, [(LATE,)]):
        pass
    with held(at.model, [()]):
        pass  # nothing to hold: nothing to act


def test_a_hold_that_does_not_fit_is_refused_before_anything_runs():
    at = loaded("Llama")
    wrong = (
        Hold(LAYERS, wide(), (1,), 0.0),
        Hold(-1, wide(), (1,), 0.0),
        Hold(1, small("relu"), (1,), 0.0),
        Hold(1, wide(), (1000,), 0.0),
    )
    for hold in wrong:
        with pytest.raises(InputError), held(at.model, [(hold,)]):
            raise AssertionError("it was let through")
    assert hooks_on(at.model) == 0
