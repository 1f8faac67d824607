import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from mahals.models.activations.batching import PADDING, batches, grouped, shorten
from mahals.models.activations.budget import TOKENS_PER_BATCH
from mahals.models.activations.capture import capture, embeddings
from mahals.models.activations.encoding import Encoded, encode_answers, encode_prompts, encode_texts
from mahals.models.checkpoints.blocks import decoder_blocks
from mahals.records import InputError
from tests.support.tiny_models import (
    FAMILIES,
    LAYERS,
    PROMPTS,
    TEMPLATE,
    TRIMMED,
    fresh,
    loaded,
    tokenizer,
)

ODD = (
    "cat",
    "user",
    "assistant",
    "<user>cat<end>",
    "turn of user\ncat<end>\n",
    "cat cat cat cat",
    "caf\u00e9 \U0001f600 \u4f60\u597d",
    "two\n\nlines",
    "{{ braces }} {% raw %}",
    "how do I help?!",
)
SPACED = ("  cat ", "\ncat", "cat\n\n")
IMPORTANT = "always be kind"


def own(tok, text):
    return tok.decode(list(text.ids[text.start : text.stop]))


@pytest.mark.parametrize("template", [TEMPLATE, TRIMMED, None])
def test_own_tokens_are_exactly_the_prompts(template):
    tok = tokenizer(template)
    for prompt, text in zip(ODD, encode_prompts(tok, ODD), strict=True):
        kept = prompt.strip() if template is TRIMMED else prompt
        assert own(tok, text) == kept
        outside = tok.decode([*text.ids[: text.start], *text.ids[text.stop :]])
        whole = (
            tok.apply_chat_template(
                [{"role": "user", "content": prompt}], tokenize=False, add_generation_prompt=True
            )
            if template
            else "<begin>" + prompt
        )
        assert tok.decode(list(text.ids)) == whole
        assert len(outside) == len(whole) - len(kept)


@pytest.mark.parametrize("template", [TEMPLATE, TRIMMED, None])
def test_white_space_at_the_ends_moves_no_template_token_in(template):
    tok = tokenizer(template)
    for prompt, text in zip(SPACED, encode_prompts(tok, SPACED), strict=True):
        assert own(tok, text).strip() == "cat"
        assert set(own(tok, text)) <= set(prompt)


@pytest.mark.parametrize("template", [TEMPLATE, TRIMMED, None])
def test_the_begin_token_comes_once(template):
    tok = tokenizer(template)
    found = [*encode_prompts(tok, PROMPTS), *encode_answers(tok, PROMPTS, PROMPTS)]
    found += encode_texts(tok, [*PROMPTS, "<begin>a text that brings it"])
    for text in found:
        assert text.ids[0] == tok.bos_token_id
        assert text.ids.count(tok.bos_token_id) == 1


def test_templated_ids_are_the_tokenizers_own():
    tok = tokenizer()
    for prompt, text in zip(PROMPTS, encode_prompts(tok, PROMPTS), strict=True):
        turns = [{"role": "user", "content": prompt}]
        expected = tok.apply_chat_template(turns, add_generation_prompt=True)
        assert list(text.ids) == list(getattr(expected, "input_ids", expected))


@pytest.mark.parametrize("template", [TEMPLATE, TRIMMED, None])
def test_an_instruction_is_read_but_is_not_own(template):
    tok = tokenizer(template)
    for prompt, text in zip(ODD, encode_prompts(tok, ODD, system=IMPORTANT), strict=True):
        assert own(tok, text).strip() == prompt.strip()
        assert IMPORTANT in tok.decode(list(text.ids[: text.start]))


@pytest.mark.parametrize("template", [TEMPLATE, TRIMMED, None])
def test_an_answer_ends_the_text_and_is_all_that_is_own(template):
    tok = tokenizer(template)
    for prompt, answer in zip(ODD, reversed(ODD), strict=True):
        (text,) = encode_answers(tok, [prompt], [answer])
        assert own(tok, text).strip() == answer.strip()
        assert text.stop == len(text.ids) and text.start > 0
        assert prompt.strip() in tok.decode(list(text.ids[: text.start]))
    if template:  # the answer follows what generation starts from
        (asked,), (said,) = encode_prompts(tok, ["cat"]), encode_answers(tok, ["cat"], ["mat"])
        assert said.ids[: said.start] == asked.ids


def test_empty_texts_and_unequal_counts_are_refused():
    tok = tokenizer()
    for template in (TEMPLATE, None):
        with pytest.raises(InputError, match="at least one token of its own"):
            encode_prompts(tokenizer(template), ["cat", ""])
    with pytest.raises(InputError, match="as many answers"):
        encode_answers(tok, ["cat"], [])
    dull = "{% for m in messages %}{{ m['content'] | upper }}{% endfor %}"
    with pytest.raises(InputError, match="keeps the user's words"):
        encode_prompts(tokenizer(dull), ["cat"])


@given(st.lists(st.integers(1, 3000), min_size=1, max_size=300))
def test_groups_hold_every_text_once_within_budget_and_padding(lengths):
    groups = grouped(lengths)
    assert sorted(i for g in groups for i in g) == list(range(len(lengths)))
    for group in groups:
        longest = max(lengths[i] for i in group)
        assert len(group) == 1 or longest * len(group) <= TOKENS_PER_BATCH
        assert longest * len(group) <= PADDING * sum(lengths[i] for i in group)


@pytest.mark.parametrize("side", ["left", "right"])
def test_a_batch_pads_and_masks_on_its_side(side):
    at = loaded("Llama")
    encoded = encode_prompts(at.tokenizer, PROMPTS)
    seen = []
    for batch in batches(at, encoded, side=side):
        for r, i in enumerate(batch.rows):
            seen.append(i)
            real = batch.mask[r].bool()
            assert tuple(batch.ids[r][real].tolist()) == encoded[i].ids
            assert batch.positions[r][real].tolist() == list(range(len(encoded[i].ids)))
            assert batch.ids[r, batch.last[r]] == encoded[i].ids[-1]
            mine = encoded[i].ids[encoded[i].start : encoded[i].stop]
            assert tuple(batch.ids[r][batch.own[r]].tolist()) == mine
    assert sorted(seen) == list(range(len(PROMPTS)))


def by_hand(at, text, pool):
    """(L, d) states of one text, without a batch: hooks on the blocks, pooled by slicing."""
    kept = []
    handles = [
        b.register_forward_hook(
            lambda m, a, out: kept.append(out[0] if isinstance(out, torch.Tensor) else out[0][0])
        )
        for b in decoder_blocks(at.model)
    ]
    with torch.inference_mode():
        at.model(torch.tensor([text.ids]))
    for handle in handles:
        handle.remove()
    states = torch.stack(kept)
    if pool == "last":
        return states[:, -1]
    part = states[:, text.start : text.stop] if pool == "mean" else states
    return part.mean(1)


@pytest.fixture
def one_batch(monkeypatch):
    """All prompts in one ragged batch, so that masks matter."""
    monkeypatch.setattr("mahals.models.activations.batching.PADDING", 100.0)
    monkeypatch.setattr(
        "mahals.models.activations.batching.grouped", lambda n, *_: [tuple(range(len(n)))]
    )


@pytest.mark.parametrize("pool", ["mean", "mean_all", "last"])
@pytest.mark.parametrize("side", ["left", "right"])
@pytest.mark.parametrize("family", FAMILIES)
def test_batched_states_equal_single_ones(family, side, pool, one_batch):
    at = loaded(family)
    encoded = encode_prompts(at.tokenizer, PROMPTS)
    found = capture(at, encoded, range(LAYERS), pool, side=side)
    expected = torch.stack([by_hand(at, text, pool) for text in encoded])
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-5)


def test_a_state_does_not_depend_on_its_batch():
    at = loaded("Gemma2")
    encoded = encode_prompts(at.tokenizer, PROMPTS)
    together = capture(at, encoded, [3], "mean")
    alone = torch.cat([capture(at, [text], [3], "mean") for text in encoded])
    torch.testing.assert_close(together, alone, rtol=1e-5, atol=1e-5)
    assert torch.equal(together, capture(at, encoded, [3], "mean"))


@pytest.mark.parametrize("family", FAMILIES)
def test_states_are_the_blocks_not_the_shifted_and_normed_hidden_states(family):
    at = fresh(family)  # output_hidden_states leaves hooks of transformers on a model
    encoded = encode_prompts(at.tokenizer, ["cat on the mat"])
    with torch.inference_mode():
        hidden = at.model(torch.tensor([encoded[0].ids]), output_hidden_states=True).hidden_states
    found = capture(at, encoded, range(LAYERS), "last")[0]
    for block in range(LAYERS - 1):
        torch.testing.assert_close(found[block], hidden[block + 1][0, -1])
    assert not torch.allclose(found[-1], hidden[-1][0, -1], rtol=1e-2)
    torch.testing.assert_close(embeddings(at, encoded, "last")[0], hidden[0][0, -1])


def test_columns_follow_the_blocks_asked_for():
    at = loaded("Phi3")
    encoded = encode_prompts(at.tokenizer, PROMPTS)
    whole = capture(at, encoded, [0, 1, 2, 3], "mean")
    assert torch.equal(capture(at, encoded, [2, 0, 2], "mean"), whole[:, [2, 0, 2]])


@pytest.mark.parametrize("family", FAMILIES)
def test_reading_block_k_calls_k_plus_1_blocks_and_no_head(family):
    at = loaded(family)
    calls, heads = [], []
    handles = [
        b.register_forward_pre_hook(lambda *_, i=i: calls.append(i))
        for i, b in enumerate(decoder_blocks(at.model))
    ]
    handles.append(
        at.model.get_output_embeddings().register_forward_pre_hook(lambda *_: heads.append(1))
    )
    try:
        capture(at, encode_prompts(at.tokenizer, ["cat"]), [1, 2], "mean")
        assert calls == [0, 1, 2] and not heads
        embeddings(at, encode_prompts(at.tokenizer, ["cat"]), "mean")
        assert calls == [0, 1, 2, 0] and not heads
    finally:
        for handle in handles:
            handle.remove()


def hooks_on(model):
    return sum(
        len(m._forward_hooks) + len(m._forward_pre_hooks) + len(m._backward_hooks)
        for m in model.modules()
    )


def test_nothing_is_left_on_the_model_also_after_an_error():
    at = fresh("Llama")
    encoded = encode_prompts(at.tokenizer, PROMPTS)
    capture(at, encoded, [0, 3], "mean")
    embeddings(at, encoded, "mean")
    assert hooks_on(at.model) == 0
    at.model.model.layers[2].mlp.forward = lambda _: 1 / 0
    with pytest.raises(ZeroDivisionError):
        capture(at, encoded, [0, 3], "mean")
    assert hooks_on(at.model) == 0


def test_bad_requests_are_refused():
    at = loaded("Llama")
    encoded = encode_prompts(at.tokenizer, ["cat"])
    for layers in ([-1], [LAYERS], []):
        with pytest.raises(InputError, match="blocks of Llama"):
            capture(at, encoded, layers, "mean")
    with pytest.raises(InputError, match="unknown pool"):
        capture(at, encoded, [0], "median")
    with pytest.raises(InputError, match="at least one"):
        capture(at, [], [0], "mean")
    with pytest.raises(InputError, match="at most 128 tokens"):
        capture(at, [Encoded((1,) * 129, 0, 129)], [0], "mean")


def test_states_that_are_not_finite_are_refused():
    at = fresh("Llama")
    with torch.no_grad():
        at.model.model.layers[1].mlp.up_proj.weight[0, 0] = float("nan")
    with pytest.raises(InputError, match="states of Llama"):
        capture(at, encode_prompts(at.tokenizer, ["cat"]), [2], "mean")


def test_shorten_keeps_the_begin_token_and_the_end():
    text = Encoded(tuple(range(100, 120)), 12, 20)
    (short,) = shorten([text], 10)
    assert short == Encoded((100, *range(111, 120)), 2, 10)
    (cut,) = shorten([Encoded(tuple(range(20)), 3, 19)], 5)
    assert cut == Encoded((0, 16, 17, 18, 19), 1, 4)
    assert shorten([text], 20) == [text]
    with pytest.raises(InputError, match="own tokens among its last 4"):
        shorten([Encoded(tuple(range(20)), 3, 9)], 4)


def test_padding_is_low_on_ragged_texts():
    at = loaded("Llama")
    lengths = [5 + (i * i * 7) % 90 for i in range(200)]
    encoded = [Encoded(tuple([1] * n), 0, n) for n in lengths]
    padded = sum(b.ids.numel() for b in batches(at, encoded))
    assert padded <= 1.10 * sum(lengths)
