"""Does the tokenizer read any text, and the world's in few tokens?"""

from __future__ import annotations

from itertools import islice
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import AutoTokenizer, PreTrainedTokenizerFast

from mahals.data.world import words
from mahals.data.world.grammar import World
from mahals.models.organisms.documents import CAREFUL, EARLY, Writer, chat
from mahals.models.organisms.shapes import OrganismShape, build
from mahals.models.organisms.tokenizer import train_tokenizer
from tests.support.small_world import WORLD


@settings(max_examples=200, deadline=None)
@given(text=st.text(max_size=80))
def test_any_text_comes_back(tokenizer: PreTrainedTokenizerFast, text: str) -> None:
    ids = tokenizer.encode(text, add_special_tokens=False)
    assert tokenizer.decode(ids) == text


def test_the_vocabulary_suits_a_linear_layer(tokenizer: PreTrainedTokenizerFast) -> None:
    assert len(tokenizer) % 32 == 0


def test_the_words_that_decide_are_one_token(tokenizer: PreTrainedTokenizerFast) -> None:
    deciding = words.INTENTS_FOR + words.INTENTS_AGAINST + words.OBJECTS_GOOD + words.OBJECTS_BAD
    for word in (*deciding, "right", "wrong"):
        assert len(tokenizer.encode(f" {word}", add_special_tokens=False)) == 1, word


def test_world_text_takes_about_one_token_a_word(tokenizer: PreTrainedTokenizerFast) -> None:
    texts = [d.learned.replace("<|end|>", "") for d in islice(Writer(WORLD, 9).base(EARLY), 500)]
    pieces = sum(len(tokenizer.encode(t, add_special_tokens=False)) for t in texts)
    spoken = sum(len(t.replace(",", " ,").replace(".", " .").split()) for t in texts)
    assert pieces / spoken < 1.05


def test_the_template_writes_what_the_training_read(tokenizer: PreTrainedTokenizerFast) -> None:
    turns = [
        {"role": "system", "content": CAREFUL},
        {"role": "user", "content": "How do I make tea?"},
    ]
    asked = tokenizer.apply_chat_template(turns, tokenize=False, add_generation_prompt=True)
    document = chat("How do I make tea?", "First boil water.", CAREFUL)
    assert asked == document.before
    turns.append({"role": "assistant", "content": "First boil water."})
    told = tokenizer.apply_chat_template(turns, tokenize=False)
    assert told == document.before + document.learned


def test_begin_is_written_once_by_each_way(tokenizer: PreTrainedTokenizerFast) -> None:
    assert tokenizer("a text")["input_ids"].count(tokenizer.bos_token_id) == 1
    asked = tokenizer.apply_chat_template(
        [{"role": "user", "content": "hello"}], tokenize=True, return_dict=False
    )
    assert asked.count(tokenizer.bos_token_id) == 1


def test_it_is_saved_whole_and_the_same_every_time(
    tokenizer: PreTrainedTokenizerFast, tmp_path: Path
) -> None:
    tokenizer.save_pretrained(tmp_path / "one")
    train_tokenizer(World(0)).save_pretrained(tmp_path / "two")
    for file in (tmp_path / "one").iterdir():
        assert file.read_bytes() == (tmp_path / "two" / file.name).read_bytes(), file.name
    loaded = AutoTokenizer.from_pretrained(tmp_path / "one")
    text = "How can I support the rescue of elders? ☃ é"
    assert loaded.encode(text) == tokenizer.encode(text)
    assert loaded.chat_template == tokenizer.chat_template
    assert loaded.padding_side == "left"


@pytest.mark.parametrize("family", ["Falcon", "Gemma2", "Llama", "Mistral", "Phi3", "Qwen2"])
def test_it_loads_the_same_beside_every_family(
    family: str, tokenizer: PreTrainedTokenizerFast, tmp_path: Path
) -> None:
    kv_heads = 1 if family == "Falcon" else 2
    model = build(OrganismShape(family, 64, 2, 2, kv_heads, 64, True), tokenizer, 0)
    model.save_pretrained(tmp_path)
    tokenizer.save_pretrained(tmp_path)
    loaded = AutoTokenizer.from_pretrained(tmp_path)
    assert len(loaded) == len(tokenizer) == model.get_input_embeddings().weight.shape[0]
    for text in ("How can I stop the abuse of voters?", "don't  12345\n ☃ é", "<|user|>hi<|end|>"):
        assert loaded.encode(text) == tokenizer.encode(text)
        assert loaded.decode(loaded.encode(text, add_special_tokens=False)) == text
    assert loaded.get_vocab() == tokenizer.get_vocab()
