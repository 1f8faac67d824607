"""Does an intervention act at the tokens of its scope and no other, read, scored or generated?"""

import pytest
import torch

from mahals.models.activations.capture import capture, state_of
from mahals.models.activations.encoding import encode_answers, encode_prompts, encode_texts
from mahals.models.checkpoints.blocks import decoder_blocks
from mahals.models.generation.decoding import generate_arms, stop_ids
from mahals.models.generation.price import logprob_arms, neutral_price
from mahals.models.steering.batch_invariance import check_batched, check_strength
from mahals.models.steering.hooks import steered
from mahals.models.steering.interventions import Arm, Intervention
from mahals.models.steering.operators import OPERATORS
from mahals.models.steering.replay import capture_arms
from mahals.records import InputError, from_plain
from tests.support.tiny_models import PROMPTS, loaded, vector

SCOPES = ("all", "prompt", "generated", "from:0", "from:5")
BLOCK, NEW = 1, 6
STEPS = [
    Intervention(BLOCK, vector(1, 1.5), 1.0, operator, scope)
    for operator in ("add", "ablate")
    for scope in SCOPES
]
ARMS = [Arm("none", ()), *(Arm(f"{s.operator} {s.scope}", (s,)) for s in STEPS)]
ANSWERS = ("the cat sat", "by the quiet river", "no", "learn to share", "in town")


def inside(scope, place, prompt):
    """By the words of the definition."""
    if scope.startswith("from:"):
        return place >= int(scope[5:])
    return {"all": True, "prompt": place < prompt, "generated": place >= prompt}[scope]


def naive(at, ids, prompt, step):
    """(t, d) last states and (t, v) logits of one text alone, a plain hook changing each token."""
    kept = []

    def change(_, __, output):
        states = state_of(output).clone()
        for place in range(states.shape[1]):
            if step is not None and inside(step.scope, place, prompt):
                s = torch.tensor(step.strength)
                states[:, place] = OPERATORS[step.operator](
                    states[:, place], step.direction[None], s
                )
        return states if isinstance(output, torch.Tensor) else (states, *output[1:])

    blocks = decoder_blocks(at.model)
    handles = [
        blocks[BLOCK].register_forward_hook(change),
        blocks[-1].register_forward_hook(lambda _, __, out: kept.append(state_of(out)[0])),
    ]
    try:
        with torch.no_grad():
            logits = at.model(torch.tensor([ids]), use_cache=False).logits[0]
    finally:
        for handle in handles:
            handle.remove()
    return kept[0], logits


def steps_of(arm):
    return arm.steps[0] if arm.steps else None


@pytest.mark.parametrize("family", ["Gemma2", pytest.param("GPT2", marks=pytest.mark.slow)])
@pytest.mark.parametrize("pool", ["last", "mean"])
def test_states_under_a_scope_are_those_of_plain_hooks(family, pool):
    at = loaded(family)
    encoded = encode_answers(at.tokenizer, PROMPTS, ANSWERS)
    assert all(0 < e.prompt < len(e.ids) for e in encoded)
    found = capture_arms(at, encoded, ARMS, [at.layers - 1], pool)[:, :, 0]
    for a, arm in enumerate(ARMS):
        for i, text in enumerate(encoded):
            states, _ = naive(at, list(text.ids), text.prompt, steps_of(arm))
            own = states[-1] if pool == "last" else states[text.start : text.stop].mean(0)
            torch.testing.assert_close(found[a, i], own, rtol=1e-4, atol=1e-5)


def test_of_a_prompt_all_tokens_are_prompt_and_none_is_generated():
    at = loaded("Llama")
    encoded = encode_prompts(at.tokenizer, PROMPTS)
    found = capture_arms(at, encoded, ARMS, [at.layers - 1], "last")
    named = {arm.name: states for arm, states in zip(ARMS, found, strict=True)}
    plain = capture(at, encoded, [at.layers - 1], "last")
    for operator in ("add", "ablate"):
        assert torch.equal(named[f"{operator} generated"], plain)
        assert torch.equal(named[f"{operator} prompt"], named[f"{operator} all"])
        assert torch.equal(named[f"{operator} from:0"], named[f"{operator} all"])
        assert not torch.equal(named[f"{operator} all"], plain)


@pytest.mark.parametrize("family", ["Gemma2", pytest.param("Llama", marks=pytest.mark.slow)])
def test_answers_under_a_scope_are_those_of_plain_hooks_without_a_cache(family):
    at = loaded(family)
    encoded = encode_prompts(at.tokenizer, PROMPTS)
    answers = generate_arms(at, encoded, ARMS, NEW)
    for arm, some in zip(ARMS, answers, strict=True):
        for text, answer in zip(encoded, some, strict=True):
            ids = list(text.ids)
            for _ in range(NEW):
                _, logits = naive(at, ids, len(text.ids), steps_of(arm))
                ids.append(int(logits[-1].argmax()))
                if ids[-1] in stop_ids(at):
                    break
            new = ids[len(text.ids) :]
            new = new[:-1] if new[-1] in stop_ids(at) else new
            assert answer == at.tokenizer.decode(new, skip_special_tokens=False), arm.name
    by_name = {arm.name: some for arm, some in zip(ARMS, answers, strict=True)}
    distinct = {tuple(by_name[f"add {s}"]) for s in ("all", "prompt", "generated")}
    assert len(distinct) == 3, "the scopes have to differ for the comparison to mean something"
    assert generate_arms(at, encoded[:1], ARMS[3:4], NEW)[0][0] == answers[3][0]


def test_what_is_scored_counts_as_generated():
    at = loaded("Llama")
    encoded = encode_answers(at.tokenizer, PROMPTS, ANSWERS)
    found = logprob_arms(at, encoded, ARMS)
    for a, arm in enumerate(ARMS):
        for i, text in enumerate(encoded):
            _, logits = naive(at, list(text.ids), text.prompt, steps_of(arm))
            logs = logits.log_softmax(-1)
            own = [logs[p - 1, text.ids[p]] for p in range(text.start, text.stop)]
            assert float(found[a, i]) == pytest.approx(float(sum(own) / len(own)), abs=1e-4)
    kl = neutral_price(at, encode_texts(at.tokenizer, PROMPTS), ARMS).kl
    of = {arm.name: float(k) for arm, k in zip(ARMS, kl, strict=True)}
    assert of["add generated"] > 0 and of["add all"] == of["add from:0"] > 0
    begin = [arm for arm in ARMS if arm.name == "add prompt"]
    assert of["add prompt"] < of["add all"] and begin, "only the begin token is steered"


def test_a_scope_holds_alone_and_in_a_batch():
    at = loaded("Llama")
    encoded = encode_prompts(at.tokenizer, PROMPTS)
    for arm in ARMS[1:]:
        check_batched(at, encoded, arm, "last")
        if "generated" not in arm.name:
            check_strength(at, encoded[0], arm, "last")


def test_hooks_that_are_not_told_the_places_refuse():
    at = loaded("Llama")
    with (
        pytest.raises(RuntimeError, match="scope prompt: nobody said"),
        steered(at.model, [Arm("x", (STEPS[1],))], [0]),
        torch.no_grad(),
    ):
        at.model(torch.tensor([[1, 5, 6]]))


def test_a_scope_that_is_none_is_refused():
    from mahals.models.steering.scope import Scope

    assert from_plain(Scope, "from:12", "same_arch.scope") == "from:12"
    with pytest.raises(InputError, match=r"same_arch.scope: expected all \| prompt"):
        from_plain(Scope, "from:", "same_arch.scope")
