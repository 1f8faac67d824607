"""Do files leave when there is no room, the longest unused first?"""

from __future__ import annotations

import os
from dataclasses import replace

import pytest
import torch

from mahals.models.activations.cache import cached_states, fingerprint
from mahals.models.activations.capture import capture
from mahals.models.activations.encoding import encode_prompts
from mahals.models.activations.store import ABANDONED, DRAFT
from mahals.phase import StatesPlace
from mahals.records import InputError
from tests.support.states_cache import EVERY, files
from tests.support.tiny_models import LAYERS, PROMPTS, WIDTH, loaded


def test_half_written_files_are_removed_once_nobody_writes_to_them(
    cache: StatesPlace, monkeypatch: pytest.MonkeyPatch
) -> None:
    at = loaded("Llama")
    encoded = encode_prompts(at.tokenizer, PROMPTS)
    cache.folder.mkdir()
    old, young = cache.folder / f"old{DRAFT}", cache.folder / f"young{DRAFT}"
    for draft in (old, young):
        draft.write_bytes(b"x")
    now = young.stat().st_mtime
    os.utime(old, (now - ABANDONED - 1, now - ABANDONED - 1))
    monkeypatch.setattr("mahals.models.activations.store.os.replace", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        cached_states(cache, at, encoded, EVERY, "mean")
    assert files(cache) == [young]


def test_the_longest_unused_leave_when_the_limit_is_reached(cache: StatesPlace) -> None:
    at = loaded("Llama")
    encoded = encode_prompts(at.tokenizer, PROMPTS)
    cached_states(cache, at, encoded, [0], "mean")
    one = files(cache)[0].stat().st_size
    small = replace(cache, limit=3 * one)
    for block in (1, 2):
        cached_states(small, at, encoded, [block], "mean")
    kept = {
        block: cache.folder / f"{fingerprint(at, encoded, [block], 'mean')}.safetensors"
        for block in range(4)
    }
    for age, block in enumerate((1, 2, 0)):
        os.utime(kept[block], ns=(age, age))
    cached_states(small, at, encoded, [1], "mean")  # asked for again: no longer the oldest
    cached_states(small, at, encoded, [3], "mean")
    assert {block for block, path in kept.items() if path.exists()} == {0, 1, 3}
    assert sum(path.stat().st_size for path in files(cache)) <= small.limit


def test_what_is_larger_than_the_limit_is_not_kept_and_zero_keeps_nothing(
    cache: StatesPlace,
) -> None:
    at = loaded("Llama")
    encoded = encode_prompts(at.tokenizer, PROMPTS)
    right = capture(at, encoded, EVERY, "mean")
    size = 4 * len(encoded) * LAYERS * WIDTH
    for limit in (0, size - 1):
        found = cached_states(replace(cache, limit=limit), at, encoded, EVERY, "mean")
        assert torch.equal(found, right) and not files(cache)


def test_a_cache_that_cannot_be_written_is_refused_before_anything_is_read(
    cache: StatesPlace, monkeypatch: pytest.MonkeyPatch
) -> None:
    at = loaded("Llama")
    encoded = encode_prompts(at.tokenizer, PROMPTS)
    cache.folder.write_text("a file")
    monkeypatch.setattr("mahals.models.activations.cache.capture", lambda *_: 1 / 0)
    with pytest.raises(InputError, match="set cache_gb to 0"):
        cached_states(cache, at, encoded, EVERY, "mean")
