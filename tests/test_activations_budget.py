"""Does a batch take what memory holds, halve where it does not, and stay as it is for organisms?"""

from dataclasses import replace

import pytest
import torch

from mahals.activations import batches, capture, embeddings, encode_prompts
from mahals.activations import budget as memory
from mahals.activations.budget import FEWEST, TOKENS_ON_CPU, token_bytes, tokens_at
from mahals.generation import generate_arms, logprob_arms, neutral_price
from mahals.models import decoder_blocks
from mahals.steering import Arm, Step, capture_arms
from tiny_models import PROMPTS, WIDTH, fresh, loaded

TEXTS = PROMPTS * 3
ARMS = [
    Arm("unsteered", ()),
    Arm("add", (Step(1, torch.linspace(-1, 1, WIDTH), 0.7, "add"),)),
]


def hub(at):
    return replace(at, weights="hub")


def short_of(monkeypatch, tokens, at):
    """A machine whose free memory holds `tokens` tokens of the model."""
    free = int(tokens * token_bytes(at) / memory.SHARE)
    monkeypatch.setattr(memory, "free_memory", lambda _: free)


class Refusing:
    """A model whose second block refuses batches of more rows than `most`, as torch does."""

    def __init__(self, at, most, error):
        def refuse(_, args, kwargs):
            states = args[0] if args else kwargs["hidden_states"]
            self.rows.append(states.shape[0])
            if states.shape[0] > most:
                raise error

        self.rows, block = [], decoder_blocks(at.model)[1]
        self.handle = block.register_forward_pre_hook(refuse, with_kwargs=True)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.handle.remove()


def test_organisms_are_batched_as_ever_however_little_memory_there_is(monkeypatch):
    at = loaded("Llama")
    encoded = encode_prompts(at.tokenizer, TEXTS)
    before = [b.rows for b in batches(at, encoded)]
    short_of(monkeypatch, 1, at)
    assert [b.rows for b in batches(at, encoded)] == before
    assert tokens_at(at) == TOKENS_ON_CPU


def test_checkpoints_take_a_power_of_two_of_tokens_that_memory_holds(monkeypatch):
    at = hub(loaded("Llama"))
    assert memory.free_memory(torch.device("cpu")) > 1 << 20
    for holds, tokens in ((1000, 512), (1024, 1024), (1 << 20, TOKENS_ON_CPU), (3, FEWEST)):
        short_of(monkeypatch, holds, at)
        assert tokens_at(at) == tokens
    assert token_bytes(at) == 4 * (8 * WIDTH + 3 * at.model.config.intermediate_size)


@pytest.mark.parametrize(
    "error",
    [
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB"),
        RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried"),
        MemoryError(),
    ],
)
def test_a_batch_that_does_not_fit_is_halved_and_gives_the_same(error, monkeypatch):
    monkeypatch.setattr("mahals.activations.batching.grouped", lambda n, *_: [tuple(range(len(n)))])
    plain = fresh("Gemma2")
    at, encoded = hub(plain), encode_prompts(plain.tokenizer, PROMPTS)
    wanted = (
        capture(at, encoded, [1, 3], "mean"),
        capture_arms(at, encoded, ARMS, [3], "last"),
        neutral_price(at, encoded, ARMS).per_text_kl,
        logprob_arms(at, encoded, ARMS),
        embeddings(at, encoded, "mean"),
    )
    answers = generate_arms(at, encoded, ARMS, 4)
    with Refusing(at, 2, error) as seen:
        found = (
            capture(at, encoded, [1, 3], "mean"),
            capture_arms(at, encoded, ARMS, [3], "last"),
            neutral_price(at, encoded, ARMS).per_text_kl,
            logprob_arms(at, encoded, ARMS),
            embeddings(at, encoded, "mean"),
        )
        assert seen.rows[:5] == [5, 2, 3, 1, 2]  # 5 refused, 2, 3 refused, 1, 2
        assert generate_arms(at, encoded, ARMS, 4) == answers
    for one, other in zip(found, wanted, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-5, atol=1e-5)
    assert sum(len(m._forward_hooks) for m in at.model.modules()) == 0


def test_what_cannot_be_halved_is_raised():
    plain = fresh("Llama")
    encoded = encode_prompts(plain.tokenizer, PROMPTS[:3])
    short = torch.OutOfMemoryError("CUDA out of memory")
    with Refusing(plain, 0, short), pytest.raises(torch.OutOfMemoryError):
        capture(plain, encoded, [3], "mean")  # an organism: its batches are not touched
    at = hub(plain)
    with Refusing(at, 0, short), pytest.raises(torch.OutOfMemoryError):
        capture(at, encoded, [3], "mean")  # a single text that does not fit
    with (
        Refusing(at, 2, RuntimeError("shapes differ")),
        pytest.raises(RuntimeError, match="shapes"),
    ):
        capture(at, encoded[:1] * 3, [3], "mean")
