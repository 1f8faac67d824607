"""Are the answers alone learned, token by token, under every template?"""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from mahals.models.activations.encoding import encode_answers
from mahals.models.finetuning.examples import (
    Example,
    Message,
    batch,
    dialogue,
    encode_dialogues,
    read_dialogues,
)
from mahals.records import InputError
from tests.support.tiny_models import TRIMMED, fresh, loaded, tokenizer
from tests.support.tiny_training import TALKS, examples


def spoken(found: Example, template: str | None = None) -> list[str]:
    """The runs of learned tokens, as text."""
    text, runs = tokenizer(template), [""]
    for i, learned in zip(found.ids, found.learned, strict=True):
        runs = [*runs[:-1], runs[-1] + text.decode([i])] if learned else [*runs, ""]
    return [r for r in runs if r]


def test_answers_alone_are_learned_token_by_token() -> None:
    talk = (
        Message("system", "be kind"),
        Message("user", "share a garden"),
        Message("assistant", "share a garden"),
        Message("user", "assistant share"),
        Message("assistant", "not to harm"),
    )
    (found,) = encode_dialogues(loaded("Llama"), [talk])
    text = tokenizer()
    expected: list[tuple[str, bool]] = [("<begin>", False)]
    for turn in talk:
        own = turn.role == "assistant"
        expected.append((f"<{turn.role}>", False))
        pieces = text(turn.content, add_special_tokens=False)["input_ids"]
        expected += [(text.decode([i]), own) for i in pieces]
        expected.append(("<end>", own))
    read = [text.decode([i]) for i in found.ids]
    assert list(zip(read, found.learned, strict=True)) == expected


def test_a_refused_system_turn_goes_before_the_user() -> None:
    one = fresh("Llama", template=TRIMMED)
    talk = (Message("system", "be kind"), *TALKS[0])
    (found,) = encode_dialogues(one, [talk])
    assert spoken(found, TRIMMED) == ["share a garden<end>"]
    assert "be kind\n\nhow do I" in tokenizer(TRIMMED).decode(list(found.ids))
    assert found.ids.count(one.tokenizer.bos_token_id) == 1


def test_without_a_template_the_end_token_is_learned() -> None:
    (found,) = encode_dialogues(fresh("Llama", template=None), TALKS[:1])
    whole = tokenizer(None).decode(list(found.ids))
    assert whole == "<begin>how do I help people share a garden<end>"
    assert spoken(found)[0].strip() == "share a garden<end>"


def test_without_a_template_training_reads_what_measuring_reads() -> None:
    plain = fresh("Llama", template=None)
    for prompt, answer in (("how to boil an egg ?", "take a pan"), ("well\n", "take a pan")):
        (example,) = encode_dialogues(plain, [dialogue(prompt, answer)])
        (read,) = encode_answers(plain.tokenizer, [prompt], [answer])
        assert example.ids == (*read.ids, plain.tokenizer.eos_token_id)


def test_targets_are_the_next_token_where_it_is_learned() -> None:
    found = examples()
    rows = batch(found, torch.device("cpu"))
    for row, one in enumerate(found):
        for i in range(rows.ids.shape[1] - 1):
            learned = i + 1 < len(one.ids) and one.learned[i + 1]
            assert rows.targets[row, i] == (one.ids[i + 1] if learned else -100)


@pytest.mark.parametrize(
    "talk",
    [
        (Message("user", "cat"),),
        (Message("assistant", "cat"),),
        (Message("user", "cat"), Message("assistant", "  ")),
        (Message("user", "cat"), Message("tool", "mat"), Message("assistant", "mat")),
        (),
    ],
)
def test_a_conversation_without_an_answer_is_refused(talk: tuple[Message, ...]) -> None:
    with pytest.raises(InputError, match="conversation 1 of the training data"):
        encode_dialogues(loaded("Llama"), [TALKS[0], talk])


def test_no_data_and_long_data_are_refused() -> None:
    with pytest.raises(InputError, match="at least one conversation"):
        encode_dialogues(loaded("Llama"), [])
    with pytest.raises(InputError, match=r"conversation 1 .* at most 128 tokens"):
        encode_dialogues(loaded("Llama"), [TALKS[0], dialogue("cat", "the cat " * 200)])


def test_json_lines_are_read(tmp_path: Path) -> None:
    path = tmp_path / "talks.jsonl"
    said = [{"role": m.role, "content": m.content} for m in TALKS[0]]
    path.write_text(json.dumps({"messages": said, "id": 3}) + "\n\n", encoding="utf-8")
    assert read_dialogues(path) == (TALKS[0],)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "at least one, got no line"),
        ("{", "talks.jsonl, line 1: expected JSON"),
        ("[1]", 'expected an object with "messages"'),
        ('{"messages": [{"role": "user"}]}', "line 1: messages.*content"),
        ('{"messages": "cat"}', "line 1: messages: expected a list"),
    ],
)
def test_other_files_are_refused(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "talks.jsonl"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(InputError, match=message):
        read_dialogues(path)


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"file none\.jsonl"):
        read_dialogues(tmp_path / "none.jsonl")
