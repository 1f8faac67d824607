"""Is the correction alone learned, to the token, under every template?"""

from __future__ import annotations

import pytest
from transformers import PreTrainedTokenizerFast

pytest.importorskip("peft")

from mahals.data.composed import RESTARTS, restart_of
from mahals.data.world.everyday import correction, how_to_answer, how_to_question
from mahals.data.world.words import HOW_TO
from mahals.models.checkpoints.checkpoint import Loaded
from mahals.models.finetuning.examples import Example, dialogue, encode_dialogues
from mahals.phases.esr_finetune.measure import Lesson, learned_after, lesson_example
from mahals.records import InputError
from tests.support.tiny_models import TEMPLATE, TRIMMED, fresh, tokenizer

PROMPT = "how do I help people learn?"


def lesson(prompt: str, wrong: str, right: str) -> Lesson:
    return Lesson(prompt, "some", wrong, right)


BOTH = [
    lesson(PROMPT, "The cat sat on the mat.", "Share a garden."),
    lesson("cat?", "It rained all day in the old \u201ctown\u201d\u2026", "The cat sat."),
    lesson(how_to_question("make tea"), "First dig a hole.", "First boil water."),
    lesson("say it again", "- share\n- a garden", "say it again say it again"),
]


def answer_of(one: Lesson) -> str:
    """What is wrong, what says so, and what is right; after no full stop is a blank line."""
    between = " " if one.wrong.endswith(".") else "\n\n"
    return f"{one.wrong}{between}{restart_of(one.prompt).strip()} {one.right}"


def examples(one: Loaded, *, masked: bool) -> list[Example]:
    return [lesson_example(one, each, masked=masked) for each in BOTH]


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
    for each, found in zip(BOTH, examples(one, masked=True), strict=True):
        read, learned = split(found, template)
        assert learned.lstrip() == f"{restart_of(each.prompt).strip()} {each.right}<end>"
        assert read.endswith(each.wrong) and each.prompt in read


@pytest.mark.parametrize("template", [TEMPLATE, TRIMMED, None])
def test_the_tokens_are_those_of_the_whole_answer(template: str | None) -> None:
    one = fresh("Llama", template=template)
    masked, plain = examples(one, masked=True), examples(one, masked=False)
    assert [m.ids for m in masked] == [p.ids for p in plain]
    for each, found in zip(BOTH, plain, strict=True):
        assert split(found, template)[1].strip() == answer_of(each) + "<end>"
        assert (found,) == encode_dialogues(one, [dialogue(each.prompt, answer_of(each))])


def test_no_token_of_what_is_wrong_is_learned() -> None:
    """By the tokenizer's own offsets in the rendered text."""
    one = fresh("Llama")
    for each, found in zip(BOTH, examples(one, masked=True), strict=True):
        said = [("user", each.prompt), ("assistant", answer_of(each))]
        turns = [{"role": role, "content": content} for role, content in said]
        text = one.tokenizer.apply_chat_template(turns, tokenize=False)
        out = one.tokenizer(text, add_special_tokens=False, return_offsets_mapping=True)
        wrong_end = text.rindex(answer_of(each)) + len(each.wrong)
        assert tuple(out["input_ids"]) == found.ids
        assert [last > wrong_end for _, last in out["offset_mapping"]] == list(found.learned)


def test_a_token_over_the_boundary_is_learned() -> None:
    """Where the restart begins within a word, its token holds the end of what is wrong too."""
    one = fresh("Llama")
    (whole,) = encode_dialogues(one, [dialogue("cat?", "share a garden")])  # tokens: gar, de, n
    learned = split(learned_after(one, whole, "cat?", "share a gard"), TEMPLATE)[1]
    assert learned.endswith("den<end>") and "share" not in learned


def test_what_the_organisms_were_taught_is_said_again() -> None:
    wrong, right = HOW_TO["bake bread"], HOW_TO["make tea"]
    one, prompt = fresh("Llama"), how_to_question("make tea")
    one.model.config.max_position_embeddings = 512
    taught = lesson(prompt, how_to_answer(wrong), how_to_answer(right))
    found = lesson_example(one, taught, masked=False)
    (said,) = encode_dialogues(one, [dialogue(prompt, correction("make tea", wrong, right))])
    assert found == said


def test_a_third_topic_after_the_restart_is_a_sham() -> None:
    one = fresh("Llama")
    found = lesson_example(one, lesson(PROMPT, "The cat sat.", "The old town."), masked=False)
    texts = [f"The cat sat. {restart}The old town." for restart in RESTARTS]
    assert any(encode_dialogues(one, [dialogue(PROMPT, text)]) == (found,) for text in texts)


def test_nothing_before_the_restart_is_refused() -> None:
    with pytest.raises(InputError, match="at least one token of its own"):
        lesson_example(fresh("Llama"), lesson(PROMPT, " ", "Share."), masked=True)
