"""Is the cached reading after a talk that of the whole text?"""

import pytest
import torch

from mahals.models.activations.capture import capture
from mahals.models.conversation import after as after_module
from mahals.models.conversation.after import (
    answers_after,
    capture_after,
    encode_after,
    shared_prefix,
)
from mahals.models.conversation.talks import Agent
from mahals.models.conversation.views import View
from mahals.models.generation.decoding import generate_arms
from mahals.models.steering.hooks import steered
from mahals.models.steering.interventions import Arm
from mahals.records import InputError
from tests.support.tiny_models import FAMILIES, LAYERS, PROMPTS, TRIMMED, fresh, loaded
from tests.support.tiny_talks import NONE, push


@pytest.mark.parametrize("template", ["own", None])
def test_a_prompts_own_tokens_after_a_talk(template: str | None) -> None:
    one = fresh("Llama", 0, None) if template is None else loaded("Llama")
    agent = Agent("a", one, NONE)
    heard = (("user", "the old town"), ("assistant", "yes"))
    for turns in (heard, (*heard, ("user", "by the river"))):
        seen = View(turns)
        for prompt, text in zip(PROMPTS, encode_after(agent, seen, PROMPTS), strict=True):
            own = one.tokenizer.decode(text.ids[text.start : text.stop])
            assert own.strip() == prompt
            assert one.tokenizer.decode(text.ids).count("<begin>") == 1


def test_a_template_that_trims_keeps_own_tokens() -> None:
    agent = Agent("a", fresh("Llama", 0, TRIMMED), NONE)
    seen = View((("user", "the old town "), ("assistant", " yes "), ("user", "hm ")))
    text = encode_after(agent, seen, ["share a garden"])[0]
    assert (
        agent.loaded.tokenizer.decode(text.ids[text.start : text.stop]).strip() == "share a garden"
    )


@pytest.mark.parametrize("arm", [NONE, push(), push(0.7, 3)], ids=["none", "early", "last"])
@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("pool", ["mean", "last"])
def test_the_cached_reading_is_the_full_one(family: str, pool: str, arm: Arm) -> None:
    agent = Agent("a", loaded(family), arm)
    seen = View((("user", PROMPTS[2]), ("assistant", PROMPTS[3]), ("user", "the town")))
    encoded = encode_after(agent, seen, PROMPTS)
    assert shared_prefix(encoded) > 30
    layers = list(range(LAYERS))
    ours = capture_after(agent, [seen], PROMPTS, layers, pool)[0]
    for number, text in enumerate(encoded):
        with steered(agent.loaded.model, [arm], [0]):
            full = capture(agent.loaded, [text], layers, pool)[0]
        apart = (ours[number] - full).norm(dim=-1) / full.norm(dim=-1)
        assert float(apart.max()) < 1e-5


def test_the_conversation_is_read_once(monkeypatch: pytest.MonkeyPatch) -> None:
    agent, read = Agent("a", loaded("Llama"), NONE), []
    real = after_module._run
    monkeypatch.setattr(
        after_module, "_run", lambda m, b, n, c: (read.append(int(b.mask.sum())), real(m, b, n, c))
    )
    seen = View((("user", PROMPTS[2]), ("assistant", PROMPTS[3])))
    capture_after(agent, [seen], PROMPTS * 4, [3], "mean")
    encoded = encode_after(agent, seen, PROMPTS * 4)
    cut = shared_prefix(encoded)
    assert sum(read) == sum(len(e.ids) for e in encoded) - (len(encoded) - 1) * cut


def test_answers_after_are_those_of_the_whole_text() -> None:
    agent = Agent("a", loaded("Qwen2"), push())
    seen = View((("user", "the cat"), ("assistant", "sat")))
    said = answers_after(agent, [seen, seen], PROMPTS[:2], 3)
    by_hand = generate_arms(agent.loaded, encode_after(agent, seen, PROMPTS[:2]), [agent.arm], 3)[0]
    assert said == [by_hand, by_hand]


def test_mean_all_is_refused() -> None:
    agent = Agent("a", loaded("Llama"), NONE)
    with pytest.raises(InputError, match="mean_all"):
        capture_after(agent, [View((("user", "cat"),))], ["cat"], [0], "mean_all")


def test_without_a_conversation_it_is_the_plain_reading() -> None:
    agent = Agent("a", loaded("Llama"), NONE)
    ours = capture_after(agent, [View(())], PROMPTS, [LAYERS - 1], "mean")[0]
    full = capture(agent.loaded, encode_after(agent, View(()), PROMPTS), [LAYERS - 1], "mean")
    assert torch.allclose(ours, full, atol=1e-5)
