"""Is the correction alone learned, to the token, under every template?"""

from __future__ import annotations

import pytest
from transformers import PreTrainedTokenizerFast

from mahals.data.composed import RESTARTS, restart_of
from mahals.data.world.everyday import correction, how_to_answer, how_to_question
from mahals.data.world.words import HOW_TO
from mahals.models.finetuning.examples import Example, dialogue, encode_dialogues
from mahals.models.finetuning.self_correction import (
    SelfCorrection,
    encode_self_corrections,
    masked_dialogue,
)
from mahals.records import InputError
from tests.support.tiny_models import TEMPLATE, TRIMMED, fresh, tokenizer

PROMPT = "how do I help people learn?"
BOTH = [
    masked_dialogue(PROMPT, "The cat sat on the mat.", "Share a garden."),
    masked_dialogue("cat?", "It rained all day in the old \u201ctown\u201d\u2026", "The cat sat."),
    masked_dialogue(how_to_question("make tea"), "First dig a hole.", "First boil water."),
    masked_dialogue("say it again", "- share\n- a garden", "say it again say it again"),
]


def split(found: Example, template: str | None) -> tuple[str, str]:
    """What is read alone, and what is learned; the learned tokens are the last ones."""
    first = found.learned.index(True)
    end = len(found.learned) - found.learned[::-1].index(True)
    assert all(found.learned[first:end])
    text: PreTrainedTokenizerFast = tokenizer(template)
    return text.decode(found.ids[:first]), text.decode(found.ids[first:end])


@pytest.mark.parametrize("template", [TEMPLATE, TRIMMED, None])
def test_the_correction_alone_is_learned_with_its_end(template: str | None) -> None:
    one = fresh("Llama", template=template)
    for c, found in zip(BOTH, encode_self_corrections(one, BOTH, masked=True), strict=True):
        read, learned = split(found, template)
        assert learned.lstrip() == c.answer[c.start :] + "<end>"
        assert learned.lstrip().startswith(restart_of(c.prompt).strip())
        assert read.endswith(c.wrong) and c.prompt in read


@pytest.mark.parametrize("template", [TEMPLATE, TRIMMED, None])
def test_the_tokens_are_those_of_the_whole_answer(template: str | None) -> None:
    one = fresh("Llama", template=template)
    plain = encode_dialogues(one, [dialogue(c.prompt, c.answer) for c in BOTH])
    assert encode_self_corrections(one, BOTH, masked=False) == plain
    masked = encode_self_corrections(one, BOTH, masked=True)
    assert [m.ids for m in masked] == [p.ids for p in plain]
    for c, found in zip(BOTH, plain, strict=True):
        assert split(found, template)[1].strip() == c.answer + "<end>"


def test_no_token_of_what_is_wrong_is_learned() -> None:
    """By the tokenizer's own offsets in the rendered text."""
    one = fresh("Llama")
    for c, found in zip(BOTH, encode_self_corrections(one, BOTH, masked=True), strict=True):
        turns = [{"role": "user", "content": c.prompt}, {"role": "assistant", "content": c.answer}]
        text = one.tokenizer.apply_chat_template(turns, tokenize=False)
        out = one.tokenizer(text, add_special_tokens=False, return_offsets_mapping=True)
        wrong_end = text.rindex(c.answer) + len(c.wrong)
        assert tuple(out["input_ids"]) == found.ids
        assert [last > wrong_end for _, last in out["offset_mapping"]] == list(found.learned)


def test_a_token_over_the_boundary_is_learned() -> None:
    """Where the restart begins within a word, its token holds the end of what is wrong too."""
    one = fresh("Llama")
    cut = SelfCorrection("cat?", "share a garden", 12)  # tokens: gar, de, n
    (found,) = encode_self_corrections(one, [cut], masked=True)
    learned = split(found, TEMPLATE)[1]
    assert learned.endswith("den<end>") and "share" not in learned


def test_what_the_organisms_were_taught_is_said_again() -> None:
    wrong, right = HOW_TO["bake bread"], HOW_TO["make tea"]
    prompt = how_to_question("make tea")
    found = masked_dialogue(prompt, how_to_answer(wrong), how_to_answer(right))
    assert found.answer == correction("make tea", wrong, right)
    assert found.wrong == how_to_answer(wrong)


def test_a_third_topic_after_the_restart_is_a_sham() -> None:
    found = masked_dialogue(PROMPT, "The cat sat.", "The old town.")
    assert any(found.answer == f"The cat sat. {restart}The old town." for restart in RESTARTS)


def test_nothing_before_the_restart_is_refused() -> None:
    for masked in (True, False):
        with pytest.raises(InputError, match="at least one"):
            encode_self_corrections(fresh("Llama"), [], masked=masked)
    with pytest.raises(InputError, match="at least one token of its own"):
        bare = masked_dialogue(PROMPT, " ", "Share.")
        encode_self_corrections(fresh("Llama"), [bare], masked=True)
