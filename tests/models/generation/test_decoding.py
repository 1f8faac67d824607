"""Are generated tokens those of one full forward each?"""

import pytest
import torch

from mahals.models.activations.encoding import encode_prompts
from mahals.models.generation import decoding
from mahals.models.generation.decoding import generate_arms
from mahals.models.steering.hooks import steered
from mahals.models.steering.interventions import Arm, Intervention
from mahals.records import InputError
from tests.support.model_calls import Calls
from tests.support.steering_arms import FOUR_ARMS, NEW, UNSTEERED
from tests.support.tiny_models import FAMILIES, LAYERS, PROMPTS, WIDTH, fresh, loaded


@pytest.fixture
def _tokens(monkeypatch):
    """`generate_arms` gives token ids, without the end: other tokens may make the same text."""

    def without_end(loaded, ids):
        return ids[:-1] if ids and ids[-1] in decoding.stop_ids(loaded) else ids

    monkeypatch.setattr(decoding, "_text", without_end)


def one_at_a_time(at, text, arm, stops):
    """Greedy tokens by a full forward for each token: no cache, no padding, no batch."""
    ids, new = list(text.ids), []
    for _ in range(NEW):
        with torch.inference_mode(), steered(at.model, [arm], [0]):
            logits = at.model(torch.tensor([ids]), use_cache=False).logits[0, -1]
        token = int(logits.argmax())
        if token in stops:
            break
        ids.append(token)
        new.append(token)
    return new


@pytest.mark.usefixtures("_tokens")
@pytest.mark.parametrize("family", FAMILIES)
def test_generated_tokens_equal_one_at_a_time(family, monkeypatch):
    monkeypatch.setattr(
        "mahals.models.generation.decoding.SHRINK", 0.99
    )  # ended rows leave at once
    at = fresh(family)
    encoded = encode_prompts(at.tokenizer, PROMPTS[:4])
    free = one_at_a_time(at, encoded[2], UNSTEERED, ())
    some = max(free, key=free.index)  # comes late
    at.model.generation_config.eos_token_id = [at.tokenizer.eos_token_id, some]  # rows end apart
    stops = (at.tokenizer.eos_token_id, some)
    found = generate_arms(at, encoded, FOUR_ARMS, NEW)
    for arm, answers in zip(FOUR_ARMS, found, strict=True):
        if arm.name != "zero":
            assert answers == [one_at_a_time(at, text, arm, stops) for text in encoded]
    assert found[0] == found[2] and found[0] != found[1]
    assert len({len(ids) for arm in found for ids in arm}) > 1


def test_generation_agrees_with_transformers_own():
    at = loaded("Llama")
    encoded = encode_prompts(at.tokenizer, PROMPTS)
    (found,) = generate_arms(at, encoded, [UNSTEERED], NEW)
    for text, answer in zip(encoded, found, strict=True):
        ids = torch.tensor([text.ids])
        out = at.model.generate(
            ids, attention_mask=torch.ones_like(ids), max_new_tokens=NEW, do_sample=False
        )
        new = out[0, ids.shape[1] :].tolist()
        if new[-1] == at.tokenizer.eos_token_id:
            new.pop()
        assert answer == at.tokenizer.decode(new)


@pytest.mark.usefixtures("_tokens")
def test_answers_do_not_depend_on_the_chunks(monkeypatch):
    at = loaded("Gemma2")
    encoded = encode_prompts(at.tokenizer, PROMPTS)
    whole = generate_arms(at, encoded, FOUR_ARMS, NEW)
    monkeypatch.setattr("mahals.models.activations.budget.TOKENS_IN_FLIGHT", 64)
    assert generate_arms(at, encoded, FOUR_ARMS, NEW) == whole
    backwards = generate_arms(at, encoded[::-1], FOUR_ARMS[::-1], NEW)
    assert [row[::-1] for row in backwards[::-1]] == whole


def test_a_model_without_a_chat_template_answers():
    at = fresh("Qwen2", template=None)
    encoded = encode_prompts(at.tokenizer, PROMPTS)
    assert all(at.tokenizer.decode(e.ids[1:]) == p for e, p in zip(encoded, PROMPTS, strict=True))
    (found,) = generate_arms(at, encoded, [UNSTEERED], 4)
    assert found == [
        at.tokenizer.decode(at.tokenizer(one, add_special_tokens=False)["input_ids"])
        for one in found
    ]


def test_a_leaked_role_token_stays_in_the_text_and_the_end_does_not():
    at = fresh("Llama")
    role = at.tokenizer.convert_tokens_to_ids("<user>")

    def always(token):
        def hook(_, __, logits):
            logits = logits.clone()
            logits[..., token] = 1e4
            return logits

        return at.model.lm_head.register_forward_hook(hook)

    encoded = encode_prompts(at.tokenizer, ["cat"])
    handle = always(role)
    assert generate_arms(at, encoded, [UNSTEERED], 2) == [["<user><user>"]]
    handle.remove()
    handle = always(at.tokenizer.eos_token_id)
    assert generate_arms(at, encoded, [UNSTEERED], 5) == [[""]]
    handle.remove()


def test_what_cannot_be_generated_is_refused():
    at = loaded("Llama")
    encoded = encode_prompts(at.tokenizer, ["cat"])
    with pytest.raises(InputError, match="max_new_tokens"):
        generate_arms(at, encoded, [UNSTEERED], 0)
    with pytest.raises(InputError, match="at most 128 tokens"):
        generate_arms(at, encoded, [UNSTEERED], 128)
    with pytest.raises(InputError, match="at least one"):
        generate_arms(at, [], [UNSTEERED], 4)
    with pytest.raises(InputError, match="arms"):
        generate_arms(at, encoded, [], 4)


def test_32_arms_in_one_batch_call_each_block_once_a_token(monkeypatch):
    monkeypatch.setattr(decoding, "_text", lambda _, ids: ids)  # other tokens may read alike
    at = loaded("GPTNeoX")
    encoded = encode_prompts(at.tokenizer, PROMPTS[:1])
    vectors = torch.randn(32, WIDTH, generator=torch.Generator().manual_seed(1))
    arms = [Arm(str(i), (Intervention(i % LAYERS, v, 0.3, "add"),)) for i, v in enumerate(vectors)]
    with Calls(at) as together:
        answers = generate_arms(at, encoded, arms, 6)
    assert together.blocks == 6 * LAYERS + 1  # the prompt through block 0, before any arm acts
    assert together.heads == 6
    alone = [generate_arms(at, encoded, [arm], 6)[0] for arm in arms]
    assert answers == alone
