"""Does each draft get its own text, whatever comes with it, and by the formulas alone?"""

from dataclasses import replace

import numpy as np
import pytest
import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast, RepetitionPenaltyLogitsProcessor

from mahals.models.activations.encoding import encode_prompts
from mahals.models.checkpoints.blocks import decoder_blocks
from mahals.models.generation import sampling
from mahals.models.generation.decoding import generate_arms
from mahals.models.generation.sampling import Draft, Sampling, encode_openings, sample
from mahals.models.saes.steering import Hold
from mahals.models.steering.interventions import Arm, Intervention
from mahals.records import InputError, seed_of
from tests.support.held_latents import SILENT, by_hand, wide
from tests.support.model_calls import Calls, hooks_on
from tests.support.small_saes import small
from tests.support.steering_arms import FOUR_ARMS, NEW, UNSTEERED
from tests.support.tiny_models import (
    LAYERS,
    PROMPTS,
    TEMPLATE,
    TRIMMED,
    WIDTH,
    fresh,
    loaded,
    tokenizer,
    two_quick,
    vector,
)

WARM, GREEDY = Sampling(0.7, 1.0, 6), Sampling(0.0, 1.0, NEW)
ADD = Arm("add", (Intervention(1, vector(1), 1.5, "add"), Intervention(2, vector(2), 0.9, "add")))
OWN = Arm("own", (Intervention(1, vector(3), 2.0, "add", "generated"),))
HOLD, OTHER = Hold(1, wide(), (7, 2, 30), 1.0), Hold(2, wide("topk", seed=8), (5, 2), 0.0)
BEGINNINGS = ("", "share a garden", "", "the cat sat on", "not to")


@pytest.fixture
def _tokens(monkeypatch):
    """`sample` gives the written tokens, the end included: other tokens may make the same text."""
    monkeypatch.setattr(sampling, "_continuation", lambda _, ids, given: tuple(ids[given:]))


def ending_early(family):
    """A model of its own with sixty end tokens, so that rows leave at different steps."""
    at = fresh(family)
    at.model.generation_config.eos_token_id = list(range(200, 260))
    return at


def drafts_for(at, n):
    """`n` drafts: of 40 every prompt with every arm, with and without holds; each seed thrice."""
    encoded = encode_openings(at.tokenizer, PROMPTS, BEGINNINGS)
    kinds = [
        (arm, holds, first)
        for arm, first in ((UNSTEERED, None), (ADD, None), (ADD, 2), (ADD, 0))
        for holds in ((), (HOLD, OTHER))
    ]
    return [Draft(encoded[i % 5], *kinds[i % len(kinds)], seed=i // 3) for i in range(n)]


def naive(at, draft, how):
    """The tokens by a full forward for each: no cache, no padding, no batch; numpy's sums."""
    ids, start, new = list(draft.encoded.ids), len(draft.encoded.ids), []
    until = None if draft.steered_tokens is None else start + draft.steered_tokens
    penalty = RepetitionPenaltyLogitsProcessor(how.repetition_penalty)
    stops = {at.tokenizer.eos_token_id, *np.atleast_1d(at.model.generation_config.eos_token_id)}
    for step in range(1, how.max_new_tokens + 1):
        with by_hand(at, draft.holds, draft.arm, until):
            logits = at.model(torch.tensor([ids]), use_cache=False).logits[:, -1]
        if own := ids[draft.encoded.prompt :]:
            logits = penalty(torch.tensor([own]), logits)
        scores = logits[0].detach().double().numpy()
        if how.temperature:
            chances = np.exp((scores - scores.max()) / how.temperature)
            below = np.cumsum(chances / chances.sum())
            new.append(int((below <= (seed_of(draft.seed, step) >> 10) / 2**53).sum()))
        else:
            new.append(int(scores.argmax()))
        ids.append(new[-1])
        if new[-1] in stops:
            break
    return tuple(new)


@pytest.mark.usefixtures("_tokens")
@pytest.mark.parametrize("how", [WARM, Sampling(0.7, 1.4, 6), Sampling(0.0, 2.0, 6)])
@pytest.mark.parametrize("family", two_quick(["Llama", "Mistral", "Qwen2", "Gemma2", "GPT2"]))
def test_tokens_equal_one_forward_each(family, how):
    at = ending_early(family)
    drafts = drafts_for(at, 16)
    found = sample(at, drafts, how)
    assert found == [naive(at, draft, how) for draft in drafts]
    assert len({len(ids) for ids in found}) > 1 and len(set(found)) > 8


@pytest.mark.usefixtures("_tokens")
def test_200_sampled_answers_alone_and_in_batches(monkeypatch):
    at, how = ending_early("Llama"), replace(WARM, max_new_tokens=4)
    drafts = drafts_for(at, 200)
    drafts[::7] = [replace(d, arm=OWN) for d in drafts[::7]]
    together = sample(at, drafts, how)
    assert [sample(at, [draft], how)[0] for draft in drafts] == together
    assert sample(at, drafts[::-1], how)[::-1] == together
    monkeypatch.setattr("mahals.models.activations.budget.TOKENS_IN_FLIGHT", 100)
    assert sample(at, drafts, how) == together
    others = sample(at, [replace(d, seed=d.seed + 1000) for d in drafts], how)
    assert sum(a != b for a, b in zip(others, together, strict=True)) > 150


@pytest.mark.parametrize("family", two_quick(["Llama", "Mistral", "Qwen2", "Gemma2", "GPT2"]))
def test_greedy_equals_generate_arms(family):
    at = ending_early(family)
    encoded = encode_prompts(at.tokenizer, PROMPTS)
    drafts = [Draft(text, arm, (), None, 3) for arm in FOUR_ARMS for text in encoded]
    found = [one.text for one in sample(at, drafts, GREEDY)]
    answers = generate_arms(at, encoded, FOUR_ARMS, NEW)
    assert found == [text for arm in answers for text in arm]
    silent = (Hold(0, wide(), SILENT, 0.0), Hold(3, wide("topk"), SILENT, 0.0))
    held = sample(at, [replace(d, holds=silent) for d in drafts], GREEDY)
    assert [one.text for one in held] == found


@pytest.mark.usefixtures("_tokens")
def test_tokens_come_as_often_as_they_are_likely():
    at = loaded("Llama")
    (text,) = encode_prompts(at.tokenizer, PROMPTS[:1])
    n, how = 2000, Sampling(0.7, 1.0, 1)
    found = sample(at, [Draft(text, UNSTEERED, (), None, seed) for seed in range(n)], how)
    counts = torch.bincount(torch.tensor(found)[:, 0], minlength=len(at.tokenizer))
    with torch.no_grad():
        logits = at.model(torch.tensor([text.ids])).logits[0, -1]
    likely = (logits.double() / how.temperature).softmax(-1)
    sd = (likely * (1 - likely) / n).sqrt()
    assert ((counts / n - likely).abs() < 4.5 * sd + 1e-3).all()
    assert counts.count_nonzero() > 50


def test_a_token_is_the_first_whose_sum_exceeds_the_chance():
    at, logits = loaded("Llama"), torch.tensor([[0.0, 0.0, -torch.inf, 0.0]]).log_softmax(-1)

    def token(chance):
        return sampling._tokens(at, logits, 1.0, [int(chance * 2**63)]).item()

    assert [token(c) for c in (0.0, 0.33, 0.34, 0.66, 0.67)] == [0, 0, 1, 1, 3]
    assert sampling._tokens(at, logits, 1.0, [2**63 - 1]).item() == 3
    assert sampling._tokens(at, logits[:, [2, 0, 1]], 1.0, [0]).item() == 1
    with pytest.raises(InputError, match="finite"):
        sampling._tokens(at, logits * torch.nan, 1.0, [0])


@pytest.mark.parametrize("by", [1.0, 1.3, 0.5])
def test_the_penalty_is_that_of_transformers(by):
    logits = torch.randn(3, 20, generator=torch.Generator().manual_seed(1))
    answers = [[2, 5, 2, 2], [], [0, 19, 7]]
    expected = logits.clone()
    for row, ids in enumerate(answers):
        if ids:
            processor = RepetitionPenaltyLogitsProcessor(by)
            expected[row] = processor(torch.tensor([ids]), expected[row : row + 1])[0]
    sampling._penalize(logits, answers, by)
    assert torch.equal(logits, expected)


def test_the_penalty_by_hand():
    logits = torch.tensor([[3.0, -2.0, 3.0, -2.0]])
    sampling._penalize(logits, [[0, 1, 1]], 2.0)
    assert logits.tolist() == [[1.5, -4.0, 3.0, -2.0]]


@pytest.mark.parametrize("first", [0, 1, 3, None])
def test_after_the_first_tokens_an_unsteered_model_goes_on_with_what_it_has(first):
    at, seen = fresh("Gemma2"), []
    (text,) = encode_openings(at.tokenizer, PROMPTS[:1], BEGINNINGS[1:2])
    handle = decoder_blocks(at.model)[3].register_forward_hook(
        lambda _, __, out: seen.append((out if isinstance(out, torch.Tensor) else out[0])[0])
    )
    sample(at, [Draft(text, ADD, (), first, 1)], replace(GREEDY, max_new_tokens=6))
    handle.remove()
    states = torch.cat(seen)
    ids, cache, kept = list(text.ids), None, []
    for step in range(6):  # by hand: an arm or none around each forward, and one cache
        on = first is None or step <= first
        with by_hand(at, (), ADD if on else UNSTEERED) as by_block:
            fed = torch.tensor([ids if step == 0 else ids[-1:]])
            out = at.model(fed, cache=cache, use_cache=True)
        cache = out.cache
        kept.append(by_block[3][0])
        ids.append(int(out.logits[0, -1].argmax()))
    torch.testing.assert_close(states, torch.cat(kept), rtol=1e-3, atol=1e-4)


def test_ended_rows_leave_the_batch():
    at = ending_early("GPTNeoX")
    encoded = encode_prompts(at.tokenizer, PROMPTS[:1])
    drafts = [Draft(encoded[0], UNSTEERED, (), None, seed) for seed in range(30)]
    found, rows = sample(at, drafts, WARM), []
    handle = decoder_blocks(at.model)[0].register_forward_pre_hook(
        lambda _, args: rows.append(len(args[0]))
    )
    with Calls(at) as calls:
        assert sample(at, drafts, WARM) == found
    handle.remove()
    assert rows == [sum(one.tokens >= step for one in found) for step in range(6)]
    assert rows[-1] < 30 and calls.blocks == 6 * LAYERS


@pytest.mark.parametrize("template", [TEMPLATE, TRIMMED, None])
@pytest.mark.parametrize("system", [None, "always be kind"])
def test_an_empty_beginning_is_the_prompt_alone(template, system):
    tok = tokenizer(template)
    assert encode_openings(tok, PROMPTS, [""] * 5, system) == encode_prompts(
        tok, PROMPTS, system=system
    )


@pytest.mark.parametrize("template", [TEMPLATE, TRIMMED])
@pytest.mark.parametrize("system", [None, "always be kind"])
def test_a_beginning_stands_where_the_answer_begins(template, system):
    tok = tokenizer(template)
    asked = encode_prompts(tok, PROMPTS, system=system)
    opened = encode_openings(tok, PROMPTS, BEGINNINGS, system)
    for prompt, begun, prefix in zip(asked, opened, BEGINNINGS, strict=True):
        whole = tok.decode(list(prompt.ids)) + prefix
        assert list(begun.ids) == tok(whole, add_special_tokens=False)["input_ids"]
        assert begun.ids.count(tok.bos_token_id) == 1
        if prefix:
            assert tok.decode(list(begun.ids[begun.prompt :])) == prefix
            assert (begun.scored, begun.stop) == (True, len(begun.ids))


def test_without_a_template_a_space_joins_prompt_and_beginning():
    tok = tokenizer(None)
    opened = encode_openings(tok, ["the cat", "the cat", "the cat\n"], ["sat", "", "sat"])
    texts = [tok.decode(list(e.ids)) for e in opened]
    assert texts == ["<begin>the cat sat", "<begin>the cat", "<begin>the cat\nsat"]
    with pytest.raises(ValueError, match="shorter"):
        encode_openings(tok, PROMPTS, [""])


def test_a_text_keeps_the_space_between_beginning_and_continuation():
    words = {"<end>": 0, "\u2581stop": 1, "\u2581go": 2, "on": 3}
    model = Tokenizer(models.WordLevel(words, unk_token="<end>"))
    model.pre_tokenizer, model.decoder = pre_tokenizers.Metaspace(), decoders.Metaspace()
    spaced = PreTrainedTokenizerFast(tokenizer_object=model, eos_token="<end>")
    at = replace(loaded("Llama"), tokenizer=spaced)
    found = [
        sampling._continuation(at, ids, given)
        for ids, given in (((1, 2, 3), 1), ((1, 2, 3, 0), 1), ((2, 3), 0), ((0,), 0))
    ]
    assert [(one.text, one.tokens) for one in found] == [
        (" goon", 2),
        (" goon", 2),
        ("goon", 2),
        ("", 0),
    ]


def test_the_model_is_as_it_was_also_after_an_error():
    at, calls = fresh("Llama"), []
    drafts = drafts_for(at, 10)

    def fail(*_):
        calls.append(1)
        if len(calls) == 3:
            raise ZeroDivisionError

    before = sample(at, drafts, WARM)
    handle = decoder_blocks(at.model)[3].register_forward_hook(fail)
    with pytest.raises(ZeroDivisionError):
        sample(at, drafts, WARM)
    handle.remove()
    assert hooks_on(at.model) == 0
    assert sample(at, drafts, WARM) == before


def test_what_cannot_be_written_is_refused():
    at = loaded("Llama")
    (draft,) = drafts_for(at, 1)
    for wrong in ((-0.1, 1.0, 4), (float("nan"), 1.0, 4), (0.7, 0.0, 4), (0.7, 1.0, 0)):
        with pytest.raises(InputError, match="sampling"):
            Sampling(*wrong)
    off = Arm("off", (Intervention(LAYERS, vector(1), 1.0, "add"),))
    for drafts, match in (
        ([], "at least one"),
        ([replace(draft, arm=off)], "arm off"),
        ([replace(draft, holds=(Hold(1, small("relu"), (1,), 0.0),))], f"width {WIDTH}"),
    ):
        with pytest.raises(InputError, match=match):
            sample(at, drafts, WARM)
    with pytest.raises(InputError, match="at most 128 tokens"):
        sample(at, [draft], replace(WARM, max_new_tokens=128))
