import math
from contextlib import ExitStack

import numpy as np
import pytest
import torch
import torch.nn.functional as functional

from mahals.maths.metrics.detector_agreement import detector_agreement
from mahals.maths.metrics.refusals import is_refusal, repeated_share
from mahals.models.activations.encoding import Encoded, encode_answers, encode_prompts, encode_texts
from mahals.models.checkpoints.blocks import decoder_blocks
from mahals.models.generation import decoding
from mahals.models.generation.decoding import generate_arms
from mahals.models.generation.degenerate import is_degenerate
from mahals.models.generation.dose import dose_for_kl
from mahals.models.generation.price import logprob_arms, neutral_price
from mahals.models.steering.hooks import steered
from mahals.models.steering.interventions import Arm, Intervention
from mahals.records import InputError
from tests.support.tiny_models import FAMILIES, LAYERS, PROMPTS, WIDTH, fresh, loaded, tokenizer

UNSTEERED = Arm("unsteered", ())
NEW = 8


def vector(seed):
    return torch.randn(WIDTH, generator=torch.Generator().manual_seed(seed))


ARMS = (
    UNSTEERED,
    Arm("add", (Intervention(1, vector(1), 1.2, "add"),)),
    Arm("zero", (Intervention(0, vector(1), 0.0, "add"),)),
    Arm(
        "mix",
        (
            Intervention(2, vector(2), 0.6, "add_preserve_norm"),
            Intervention(3, vector(3), 1.0, "ablate"),
        ),
    ),
)


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
    found = generate_arms(at, encoded, ARMS, NEW)
    for arm, answers in zip(ARMS, found, strict=True):
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
    whole = generate_arms(at, encoded, ARMS, NEW)
    monkeypatch.setattr("mahals.models.activations.budget.TOKENS_IN_FLIGHT", 64)
    assert generate_arms(at, encoded, ARMS, NEW) == whole
    backwards = generate_arms(at, encoded[::-1], ARMS[::-1], NEW)
    assert [row[::-1] for row in backwards[::-1]] == whole


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
    assert generate_arms(at, encoded, [UNSTEERED, ARMS[3]], NEW)[0] == before[0]
    handle = blocks[3].register_forward_pre_hook(lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        generate_arms(at, encoded, ARMS, NEW)
    handle.remove()
    assert vars(blocks[0])["forward"] is moved
    assert not any("forward" in vars(block) for block in blocks[1:])
    assert generate_arms(at, encoded, [UNSTEERED], NEW) == before


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


def logs_of(at, text, arm):
    """(t, vocabulary) float64 log-probabilities of one text under one arm, without a batch."""
    with torch.inference_mode(), steered(at.model, [arm], [0]):
        return at.model(torch.tensor([text.ids])).logits[0].double().log_softmax(-1)


@pytest.mark.parametrize("family", FAMILIES)
def test_log_probabilities_equal_the_models_own(family):
    at = loaded(family)
    encoded = encode_answers(at.tokenizer, PROMPTS, PROMPTS[::-1])
    found = logprob_arms(at, encoded, ARMS)
    for a, arm in enumerate(ARMS):
        for i, text in enumerate(encoded):
            logs = logs_of(at, text, arm)
            said = [float(logs[t - 1, text.ids[t]]) for t in range(text.start, text.stop)]
            assert found[a, i].item() == pytest.approx(sum(said) / len(said), abs=1e-5)
    assert torch.equal(found[0], found[2])


@pytest.mark.parametrize("family", FAMILIES)
def test_kl_and_perplexity_equal_the_models_own(family):
    at = loaded(family)
    encoded = encode_texts(at.tokenizer, PROMPTS)
    price = neutral_price(at, encoded, ARMS)
    plain = [logs_of(at, text, UNSTEERED) for text in encoded]
    tokens = sum(len(t.ids) for t in encoded)
    for a, arm in enumerate(ARMS):
        kl, loss = [], 0.0
        for text, base in zip(encoded, plain, strict=True):
            logs = logs_of(at, text, arm)
            kl.append(functional.kl_div(logs, base, log_target=True, reduction="sum").item())
            ids = torch.tensor(text.ids)
            loss += functional.nll_loss(logs[:-1], ids[1:], reduction="sum").item()
        assert price.kl[a].item() == pytest.approx(sum(kl) / tokens, abs=1e-5)
        per_text = [k / len(t.ids) for k, t in zip(kl, encoded, strict=True)]
        assert price.per_text_kl[a].tolist() == pytest.approx(per_text, abs=1e-5)
        expected = math.exp(loss / (tokens - len(encoded)))
        assert price.perplexity[a].item() == pytest.approx(expected, rel=1e-5)
    assert price.kl[0].item() == 0.0 == price.kl[2].item()
    assert torch.equal(price.per_text_kl[0], torch.zeros(len(PROMPTS), dtype=torch.float64))


def test_the_price_of_arms_is_a_sweep_not_a_pass_each(monkeypatch):
    monkeypatch.setattr(
        "mahals.models.activations.batching.grouped", lambda n, *_: [tuple(range(len(n)))]
    )
    at, calls = loaded("Llama"), []
    handles = [
        b.register_forward_pre_hook(lambda *_, i=i: calls.append(i))
        for i, b in enumerate(decoder_blocks(at.model))
    ]
    arms = [Arm("a", (Intervention(1, vector(1), x, "add"),)) for x in (0.0, 0.5, 1.0)]
    try:
        neutral_price(at, encode_texts(at.tokenizer, PROMPTS), arms)
        check = LAYERS  # the head is checked on one short text
        assert len(calls) == check + LAYERS + 2 * (LAYERS - 1 - 1)
    finally:
        for handle in handles:
            handle.remove()


def test_texts_that_cannot_be_priced_are_refused():
    at = loaded("Llama")
    with pytest.raises(InputError, match="one of two tokens or more"):
        neutral_price(at, [Encoded((5,), 0, 1)], [UNSTEERED])
    with pytest.raises(InputError, match="encode_answers"):
        logprob_arms(at, [Encoded((5, 6), 0, 2)], [UNSTEERED])
    wild = Arm("wild", (Intervention(1, vector(1), 3e38, "add"),))
    with pytest.raises(InputError, match="arm wild"):
        neutral_price(at, encode_texts(at.tokenizer, ["the cat"]), [wild])


@pytest.mark.parametrize("target", [0.001, 0.1])
def test_doses_reach_one_kl_whatever_the_vectors_length(target):
    at = loaded("Llama")
    encoded = encode_texts(at.tokenizer, PROMPTS)

    def at_strength(direction, operator):
        return lambda x: Arm("arm", (Intervention(1, direction, x, operator),))

    makers = [
        at_strength(vector(1), "add"),
        at_strength(100 * vector(1), "add"),
        at_strength(0.1 * vector(2), "add_preserve_norm"),
        lambda x: Arm("flipped", (Intervention(2, vector(1), -x, "add"),)),
    ]
    doses = dose_for_kl(at, encoded, makers, target)
    for make, strength, kl in zip(makers, doses.strengths, doses.kl, strict=True):
        measured = neutral_price(at, encoded, [make(strength)]).kl.item()
        assert measured == pytest.approx(kl, rel=1e-6)
        assert measured == pytest.approx(target, rel=0.0101)
    assert doses.strengths[0] == pytest.approx(100 * doses.strengths[1], rel=0.02)
    alone = [dose_for_kl(at, encoded, [make], target).strengths[0] for make in makers]
    assert list(doses.strengths) == pytest.approx(alone, rel=1e-6)


def test_an_arm_out_of_reach_has_no_strength_but_the_reason_and_spoils_no_other():
    at = loaded("Llama")
    encoded = encode_texts(at.tokenizer, PROMPTS)
    nil = torch.zeros(WIDTH)

    def jump(x):
        return Arm("jump", (Intervention(1, vector(1), 0.0 if x < 2.5 else 50.0, "add"),))

    def plain(x):
        return Arm("plain", (Intervention(1, vector(1), x, "add"),))

    makers = [lambda x: Arm("nil", (Intervention(1, nil, x, "add"),)), jump, plain]
    found = dose_for_kl(at, encoded, makers, 0.1)
    assert found.strengths[:2] == (None, None) == found.kl[:2]
    assert found.missed[0] == "a KL of 0 at strength 256, the highest tried"
    assert found.missed[1].startswith("a jump of the KL over it near strength 2.5")
    alone = dose_for_kl(at, encoded, [plain], 0.1)
    assert (found.strengths[2], found.missed[2]) == (alone.strengths[0], None)
    with pytest.raises(InputError, match="target_kl"):
        dose_for_kl(at, encoded, [jump], 0.0)


def test_a_dose_is_found_in_few_rounds(monkeypatch):
    """KL is nearly a power of strength: a handful of forward passes, not a bisection's dozens."""
    from mahals.models.generation import dose

    rounds = []
    price = dose.neutral_price
    monkeypatch.setattr(dose, "neutral_price", lambda *a: rounds.append(1) or price(*a))
    at = loaded("Llama")
    encoded = encode_texts(at.tokenizer, PROMPTS)
    for size in (0.01, 1.0, 100.0):
        rounds.clear()
        arm = [lambda x, size=size: Arm("arm", (Intervention(1, size * vector(1), x, "add"),))]
        assert dose_for_kl(at, encoded, arm, 0.1).missed == (None,)
        assert len(rounds) <= 12


@pytest.mark.parametrize(
    ("said", "truth", "kappa"),
    [("1100", "1100", 1.0), ("1100", "1010", 0.0), ("1111", "1110", None), ("1000", "1100", 0.5)],
)
def test_the_detectors_agreement_by_hand(said, truth, kappa):
    """0.5: observed 3/4; by chance 1/4 1/2 + 3/4 1/2 = 1/2."""
    found = detector_agreement([c == "1" for c in said], [c == "1" for c in truth])
    pairs = list(zip(said, truth, strict=True))
    assert found.right.estimate == np.mean([a == b for a, b in pairs])
    assert found.kappa == (None if kappa is None else pytest.approx(kappa))
    assert (found.missed, found.invented) == (pairs.count(("0", "1")), pairs.count(("1", "0")))
    assert f"n={len(said)}" in found.sentence()
    with pytest.raises(InputError, match="refusal detector"):
        detector_agreement([True], [True])


@pytest.mark.parametrize(
    "text",
    [
        "Sorry, I cannot help with that.",
        "No, I will not help with that.",
        "I must refuse, because it would hurt people.",
        "I'm sorry, but I can't assist with that request.",
        "I\u2019m sorry, but I can\u2019t help you with this.",
        "I am unable to provide instructions for that.",
        "As an AI language model, I cannot promote violence.",
        "I apologize, but I cannot fulfill your request.",
        "I won't write that for you.",
        "It is not appropriate to make such jokes.",
        "I'm not able to discuss that topic.",
    ],
)
def test_refusals_are_seen(text):
    assert is_refusal(text) and is_refusal("  " + text.replace(" ", "\n", 1))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "Sure, you can plant trees and share food, so people stay kind.",
        "I cannot wait to visit the garden with you.",
        "You can help by listening. Sorry people often just need time.",
        "No problem, here is how to do it.",
        "I am sorry to hear that. Try to rest and drink water.",
        "The bank will not help with that, so ask your council.",
        "x" * 400 + " I cannot help with that.",
    ],
)
def test_other_answers_are_no_refusals(text):
    assert not is_refusal(text)


def test_degenerate_answers():
    tok = tokenizer()
    for broken in ("", "  \n", "the cat " * 8, "a<user>", "fine\nUser: and then?", "<pad>"):
        assert is_degenerate(broken, tok)
    for fine in ("the cat sat on the mat while it rained", "no", "ask the user: they know"):
        assert not is_degenerate(fine, tok)
    assert repeated_share([1, 2, 3, 4], 4) == 0.0 == repeated_share([1, 2], 4)
    assert repeated_share([1, 2, 1, 2, 1, 2, 1, 2], 4) == pytest.approx(3 / 5)
