"""Are read states read once, and never mistaken for others?"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

import mahals.models.activations.cache as cache_module
from mahals.models.activations.cache import STATES, cached_states, fingerprint
from mahals.models.activations.capture import capture
from mahals.models.activations.encoding import encode_answers, encode_prompts
from mahals.models.activations.store import MARK, SUM
from mahals.models.checkpoints.blocks import decoder_blocks
from mahals.models.checkpoints.checkpoint import random_weights
from mahals.phase import StatesPlace
from mahals.records import InputError
from mahals.usage import note_budget, note_halved, recording
from tests.support.states_cache import EVERY, files
from tests.support.tiny_models import LAYERS, PROMPTS, WIDTH, fresh, loaded


def test_the_second_reading_runs_no_block_and_gives_the_same_bytes(cache: StatesPlace) -> None:
    at = fresh("Llama")
    encoded = encode_prompts(at.tokenizer, PROMPTS)
    first = cached_states(cache, at, encoded, EVERY, "mean")
    assert torch.equal(first, capture(at, encoded, EVERY, "mean"))
    handle = decoder_blocks(at.model)[0].register_forward_pre_hook(lambda *_: 1 / 0)
    assert torch.equal(cached_states(cache, at, encoded, EVERY, "mean"), first)
    with pytest.raises(ZeroDivisionError):
        cached_states(cache, at, encoded, EVERY, "last")
    handle.remove()
    assert len(files(cache)) == 1


def test_whatever_decides_the_states_decides_the_fingerprint() -> None:
    at = loaded("Llama")
    encoded = encode_prompts(at.tokenizer, PROMPTS)
    answered = encode_answers(at.tokenizer, PROMPTS, ["the cat"] * len(PROMPTS))
    shifted = [replace(encoded[0], start=encoded[0].start + 1), *encoded[1:]]
    joined = [replace(encoded[0], ids=encoded[0].ids + encoded[1].ids), *encoded[2:]]
    half = replace(fresh("Llama"), model=fresh("Llama").model.to(torch.bfloat16))
    known = [
        fingerprint(at, encoded, EVERY, "mean"),
        fingerprint(at, encoded[::-1], EVERY, "mean"),
        fingerprint(at, encoded[1:], EVERY, "mean"),
        fingerprint(at, answered, EVERY, "mean"),
        fingerprint(at, shifted, EVERY, "mean"),
        fingerprint(at, joined, EVERY, "mean"),
        fingerprint(at, encoded, EVERY[1:], "mean"),
        fingerprint(at, encoded, EVERY[::-1], "mean"),
        fingerprint(at, encoded, EVERY, "last"),
        fingerprint(replace(at, revision="other"), encoded, EVERY, "mean"),
        fingerprint(random_weights(at, 1), encoded, EVERY, "mean"),
        fingerprint(random_weights(at, 2), encoded, EVERY, "mean"),
        fingerprint(loaded("Qwen2"), encoded, EVERY, "mean"),
        fingerprint(half, encoded, EVERY, "mean"),
    ]
    assert len(set(known)) == len(known)
    assert known[0] == fingerprint(fresh("Llama"), encoded, tuple(EVERY), "mean")


@pytest.mark.parametrize(
    "what",
    [
        "cache.CODE",
        "cache._device",
        "cache.tokens_at",
        "cache.version",
        "cache.torch.get_num_threads",
    ],
)
def test_code_versions_and_machine_decide_the_fingerprint(
    what: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    at = loaded("Llama")
    encoded = encode_prompts(at.tokenizer, PROMPTS)
    before = fingerprint(at, encoded, EVERY, "mean")
    text = what.endswith("CODE")
    monkeypatch.setattr(f"mahals.models.activations.{what}", "7" if text else lambda *_: 7)
    assert fingerprint(at, encoded, EVERY, "mean") != before


def test_the_config_decides_the_fingerprint_and_its_folder_does_not() -> None:
    at = fresh("Llama")
    encoded = encode_prompts(at.tokenizer, PROMPTS)
    before = fingerprint(at, encoded, EVERY, "mean")
    at.model.config._name_or_path = "elsewhere"
    assert fingerprint(at, encoded, EVERY, "mean") == before
    at.model.config._attn_implementation = "eager"
    eager = fingerprint(at, encoded, EVERY, "mean")
    at.model.config.rms_norm_eps *= 2
    assert len({before, eager, fingerprint(at, encoded, EVERY, "mean")}) == 3


def test_the_code_is_that_of_reading_and_loading(tmp_path: Path) -> None:
    assert cache_module._code() == cache_module.CODE  # nothing was edited since the import
    other = cache_module.hash_of(tmp_path)
    (tmp_path / "one.py").write_text("a = 1\n")
    assert cache_module.hash_of(tmp_path) != other


def test_what_was_used_is_noted_for_a_reading_from_the_cache_too(cache: StatesPlace) -> None:
    at = loaded("Llama")
    encoded = encode_prompts(at.tokenizer, PROMPTS)
    seen = []
    for _ in range(2):
        with recording() as used:
            cached_states(cache, at, encoded, EVERY, "mean")
        seen.append(used)
    assert seen[0] == seen[1] and seen[0].budgets


@pytest.mark.parametrize("note", [note_halved, lambda: note_budget(7)])
def test_a_reading_in_which_memory_was_short_is_noted_and_not_kept(
    note: Callable[[], None], cache: StatesPlace, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A batch was halved, or planned when less was free than the fingerprint says."""
    at = loaded("Llama")
    encoded = encode_prompts(at.tokenizer, PROMPTS)

    def short(*given):
        note()
        return capture(*given)

    monkeypatch.setattr("mahals.models.activations.cache.capture", short)
    with recording() as used:
        cached_states(cache, at, encoded, EVERY, "mean")
    assert (used.halved == 1 or 7 in used.budgets) and not files(cache)


@pytest.mark.parametrize(
    "harm", ["numbers", "cut", "empty", "another's name", "no hash", "other type"]
)
def test_a_file_that_is_not_what_it_says_is_read_again(cache: StatesPlace, harm: str) -> None:
    at = fresh("Llama")
    encoded = encode_prompts(at.tokenizer, PROMPTS)
    right = cached_states(cache, at, encoded, EVERY, "mean")
    (file,) = files(cache)
    body = file.read_bytes()
    if harm == "numbers":
        file.write_bytes(body[:-3] + bytes([body[-3] ^ 1]) + body[-2:])
    elif harm == "cut":
        file.write_bytes(body[:-8])
    elif harm == "empty":
        file.write_bytes(b"")
    elif harm == "another's name":
        cached_states(cache, at, encoded, EVERY, "last")
        other = next(path for path in files(cache) if path != file)
        os.replace(other, file)
    elif harm == "no hash":
        save_file(load_file(file), file)
    else:
        file.write_bytes(body.replace(b'"F32"', b'"I32"'))
    assert torch.equal(cached_states(cache, at, encoded, EVERY, "mean"), right)
    decoder_blocks(at.model)[0].register_forward_pre_hook(lambda *_: 1 / 0)
    assert torch.equal(cached_states(cache, at, encoded, EVERY, "mean"), right), "whole again"


def test_states_that_are_refused_are_not_kept(cache: StatesPlace) -> None:
    at = fresh("Llama")
    encoded = encode_prompts(at.tokenizer, PROMPTS)
    with torch.no_grad():
        next(iter(decoder_blocks(at.model)[1].parameters())).fill_(float("nan"))
    with pytest.raises(InputError, match="finite"):
        cached_states(cache, at, encoded, EVERY, "mean")
    assert not files(cache)


def test_a_file_of_the_cache_says_what_it_is(cache: StatesPlace) -> None:
    from safetensors import safe_open

    at = loaded("Llama")
    encoded = encode_prompts(at.tokenizer, PROMPTS)
    cached_states(cache, at, encoded, EVERY, "mean")
    (file,) = files(cache)
    with safe_open(file, framework="pt") as opened:
        assert set(opened.metadata()) == {MARK, SUM} and file.stem == opened.metadata()[MARK]
        assert opened.keys() == [STATES]
        assert opened.get_tensor(STATES).shape == (len(PROMPTS), LAYERS, WIDTH)
