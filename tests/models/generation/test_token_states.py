"""Are the states of an answer's tokens those of a plain hook, with steering on and off?"""

import pytest
import torch

from mahals.models.activations.encoding import encode_answers, encode_prompts
from mahals.models.generation.sampling import encode_openings
from mahals.models.generation.token_states import token_states
from mahals.models.steering.interventions import Arm, Intervention
from mahals.records import InputError
from tests.support.held_latents import by_hand
from tests.support.model_calls import Calls, hooks_on
from tests.support.steering_arms import UNSTEERED
from tests.support.tiny_models import LAYERS, PROMPTS, WIDTH, fresh, loaded, two_quick, vector

ADD = Arm("add", (Intervention(1, vector(1), 1.5, "add"), Intervention(2, vector(2), 0.9, "add")))
LATE = Arm("late", (Intervention(3, vector(3), 2.0, "add"),))
ARMS = (ADD, UNSTEERED, LATE, ADD, UNSTEERED)


@pytest.mark.parametrize("family", two_quick(["Llama", "Mistral", "Qwen2", "Gemma2", "GPT2"]))
def test_states_are_those_of_a_plain_hook(family, one_batch):
    at = loaded(family)
    encoded = encode_answers(at.tokenizer, PROMPTS, PROMPTS[::-1])
    for block in range(LAYERS):
        found = token_states(at, encoded, ARMS, block)
        for text, arm, states in zip(encoded, ARMS, found, strict=True):
            with by_hand(at, (), arm) as alone:
                at.model(torch.tensor([text.ids]), use_cache=False)
            expected = alone[block][0, text.start : text.stop]
            assert states.shape == (text.stop - text.start, WIDTH)
            torch.testing.assert_close(states, expected, rtol=1e-3, atol=1e-4)
            assert not states.is_inference()  # a training may read it


def test_a_steered_block_is_read_after_its_steps(one_batch):
    at = loaded("Llama")
    encoded = encode_answers(at.tokenizer, PROMPTS[:1] * 2, PROMPTS[1:2] * 2)
    on, off = token_states(at, encoded, [LATE, UNSTEERED], 3)
    torch.testing.assert_close(on - off, 2.0 * vector(3).expand_as(off), rtol=1e-4, atol=1e-4)
    before_on, before_off = token_states(at, encoded, [LATE, UNSTEERED], 2)
    assert torch.equal(before_on, before_off)


def test_rows_do_not_depend_on_the_batches(monkeypatch):
    at = loaded("Gemma2")
    encoded = encode_answers(at.tokenizer, PROMPTS, PROMPTS[::-1])
    whole = token_states(at, encoded, ARMS, 2)
    monkeypatch.setattr("mahals.models.activations.budget.TOKENS_ON_CPU", 40)
    for states, again in zip(whole, token_states(at, encoded, ARMS, 2), strict=True):
        torch.testing.assert_close(states, again, rtol=1e-4, atol=1e-4)


def test_scopes_know_where_the_answer_is():
    at = loaded("Llama")
    encoded = encode_openings(at.tokenizer, PROMPTS[:1] * 2, ["share a garden"] * 2)
    step = Intervention(1, vector(1), 1.5, "add", "generated")
    on, off = token_states(at, encoded, [Arm("own", (step,)), UNSTEERED], 1)
    torch.testing.assert_close(on - off, 1.5 * vector(1).expand_as(off), rtol=1e-4, atol=1e-4)


def test_the_model_stops_after_what_is_needed_and_is_as_it_was():
    at = fresh("Llama")
    encoded = encode_answers(at.tokenizer, PROMPTS[:1], PROMPTS[1:2])
    for arm, block, blocks in ((UNSTEERED, 1, 2), (ADD, 1, 3), (LATE, 0, 4)):
        with Calls(at) as calls:
            token_states(at, encoded, [arm], block)
        assert (calls.blocks, calls.heads) == (blocks, 0)
    hard = Arm("hard", (Intervention(0, vector(1), 3e38, "add"),))
    with pytest.raises(InputError, match="finite"):
        token_states(at, encoded, [hard], 0)
    assert hooks_on(at.model) == 0


def test_what_cannot_be_read_is_refused():
    at = loaded("Llama")
    encoded = encode_prompts(at.tokenizer, PROMPTS[:1])
    with pytest.raises(InputError, match="blocks"):
        token_states(at, encoded, [UNSTEERED], LAYERS)
    with pytest.raises(InputError, match="arms"):
        token_states(at, [], [], 1)
    with pytest.raises(ValueError, match="argument 2 is longer"):
        token_states(at, encoded, [UNSTEERED, ADD], 1)
