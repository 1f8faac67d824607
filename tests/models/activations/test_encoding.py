"""Are own tokens exactly the user's words, under every template?"""

import pytest

from mahals.models.activations.encoding import encode_answers, encode_prompts, encode_texts
from mahals.records import InputError
from tests.support.tiny_models import PROMPTS, TEMPLATE, TRIMMED, tokenizer

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
