"""Does a batch take what memory holds, halve where it does not, and stay as it is for organisms?"""

import json
import weakref
from dataclasses import replace

import pytest
import torch
from transformers import DynamicCache

from mahals.models.activations import budget as memory
from mahals.models.activations.batching import batches
from mahals.models.activations.budget import (
    FEWEST,
    TOKENS_IN_FLIGHT,
    TOKENS_ON_CPU,
    cached_bytes,
    halving,
    token_bytes,
    tokens_at,
    tokens_in_flight,
)
from mahals.models.activations.capture import capture, embeddings
from mahals.models.activations.encoding import encode_prompts
from mahals.models.checkpoints.blocks import decoder_blocks
from mahals.models.generation.decoding import generate_arms
from mahals.models.generation.price import logprob_arms, neutral_price
from mahals.models.steering.interventions import Arm, Intervention
from mahals.models.steering.replay import capture_arms
from mahals.usage import PROCESSES, recording
from tests.support.tiny_models import PROMPTS, WIDTH, fresh, loaded

TEXTS = PROMPTS * 3
ARMS = [
    Arm("unsteered", ()),
    Arm("add", (Intervention(1, torch.linspace(-1, 1, WIDTH), 0.7, "add"),)),
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


@pytest.mark.parametrize("family", ["Llama", "Gemma2", "Qwen2"])
def test_writing_counts_the_keys_and_values_that_a_cache_holds(family, monkeypatch):
    at = loaded(family)
    cache = DynamicCache(config=at.model.config)
    at.model(torch.ones(1, 5, dtype=torch.long), cache=cache, use_cache=True)
    held = sum(t.numel() * t.element_size() for x in cache.layers for t in (x.keys, x.values))
    assert held == 5 * cached_bytes(at)
    short_of(monkeypatch, 1, at)
    assert tokens_in_flight(at) == TOKENS_IN_FLIGHT, "an organism's batches never move"
    each = token_bytes(at) + cached_bytes(at)
    for holds, tokens in ((1000, 512), (1 << 20, TOKENS_IN_FLIGHT), (3, FEWEST)):
        short_of(monkeypatch, holds * each / token_bytes(at), at)
        assert tokens_in_flight(hub(at)) == tokens


def test_processes_that_share_the_memory_take_equal_parts_of_it(monkeypatch):
    at = hub(loaded("Llama"))
    short_of(monkeypatch, 1024, at)
    for processes, tokens in (("1", 1024), ("2", 512), ("3", 256)):
        monkeypatch.setenv(PROCESSES, processes)
        assert tokens_at(at) == tokens
    plain = loaded("Llama")
    assert tokens_at(plain) == TOKENS_ON_CPU


@pytest.mark.parametrize(
    "error",
    [
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB"),
        pytest.param(
            RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried"),
            marks=pytest.mark.slow,
        ),
        pytest.param(MemoryError(), marks=pytest.mark.slow),
        pytest.param(
            RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate`"),
            marks=pytest.mark.slow,
        ),
        pytest.param(
            RuntimeError("cuDNN error: CUDNN_STATUS_ALLOC_FAILED"), marks=pytest.mark.slow
        ),
    ],
)
def test_a_batch_that_does_not_fit_is_halved_and_gives_the_same(error, monkeypatch):
    monkeypatch.setattr(
        "mahals.models.activations.batching.grouped", lambda n, *_: [tuple(range(len(n)))]
    )
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


def test_what_cannot_be_halved_is_raised(monkeypatch):
    monkeypatch.setattr(
        "mahals.models.activations.batching.grouped", lambda n, *_: [tuple(range(len(n)))]
    )
    plain = fresh("Llama")
    encoded = encode_prompts(plain.tokenizer, PROMPTS[:3])
    short = torch.OutOfMemoryError("CUDA out of memory")
    with Refusing(plain, 2, short) as seen, pytest.raises(torch.OutOfMemoryError):
        capture(plain, encoded, [3], "mean")  # an organism: its batches are not touched
    assert seen.rows == [3]
    at = hub(plain)
    with Refusing(at, 0, short), pytest.raises(torch.OutOfMemoryError):
        capture(at, encoded, [3], "mean")  # a single text that does not fit
    with (
        Refusing(at, 2, RuntimeError("shapes differ")),
        pytest.raises(RuntimeError, match="shapes"),
    ):
        capture(at, encoded[:1] * 3, [3], "mean")


def test_what_a_failed_try_held_is_free_before_the_next(monkeypatch):
    """The traceback of the error holds the try's tensors for as long as it is being handled."""
    held, freed = [], []

    def work(rows):
        states = torch.zeros(len(rows), 1000)
        held.append(weakref.ref(states))
        if len(rows) > 1:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return states.shape[0]

    real = memory._give_back

    def give_back(device):
        freed.append(held[-1]() is None)
        real(device)

    monkeypatch.setattr(memory, "_give_back", give_back)
    at = hub(loaded("Llama"))
    done = list(halving(at, [(4, 2, 7), (1,)], work))
    assert done == [((4,), 1), ((2,), 1), ((7,), 1), ((1,), 1)]
    assert freed == [True, True]


def test_usage_says_what_was_planned_and_how_often_it_did_not_fit(monkeypatch):
    at = hub(fresh("Llama"))
    encoded = encode_prompts(at.tokenizer, PROMPTS[:4])
    short_of(monkeypatch, 600, at)
    monkeypatch.setattr(
        "mahals.models.activations.batching.grouped", lambda n, *_: [tuple(range(len(n)))]
    )
    with Refusing(at, 2, MemoryError()), recording() as used:
        capture(at, encoded, [3], "mean")
    assert (used.budgets, used.halved) == ({512}, 1)
    with recording() as used:
        generate_arms(at, encoded, ARMS, 2)
    assert (used.budgets, used.halved) == ({tokens_in_flight(at)}, 0)
    assert tokens_in_flight(at) == 256 < TOKENS_IN_FLIGHT
    capture(at, encoded, [3], "mean")
    assert used.budgets == {256}, "what comes after is not noted"


@pytest.mark.parametrize(("weights", "tokens"), [("organism", TOKENS_ON_CPU), ("hub", 512)])
def test_run_json_says_which_budgets_and_how_many_halves(weights, tokens, tmp_path, monkeypatch):
    """A toy phase that reads a tiny model, through the runner and its journal."""
    from tests.support import toy_study as toy
    from tests.support.toy_phases.grow import measure as grow

    at = replace(fresh("Llama"), weights=weights)
    short_of(monkeypatch, 600, at)
    encoded = encode_prompts(at.tokenizer, PROMPTS[:2])

    def measure(task, params, lab):
        refused = task.position == 1 and weights == "hub"
        with Refusing(at, 1 if refused else 99, MemoryError()):
            capture(at, encoded, [3], "mean")
        yield from measured(task, params, lab)

    measured = grow.measure
    monkeypatch.setattr(grow, "measure", measure)
    monkeypatch.setattr(
        "mahals.models.activations.batching.grouped", lambda n, *_: [tuple(range(len(n)))]
    )
    workspace = toy.make(tmp_path, models=["A"])
    results = toy.run(workspace, "grow", weights=weights, grow__tasks=3)[0]
    run = json.loads((results.folder / "run.json").read_text())
    halved = [0, 1, 0] if weights == "hub" else [0, 0, 0]
    assert run["batches"] == {
        "tokens": [tokens],
        "halved": sum(halved),
        "tasks": [{"tokens": [tokens], "halved": n} for n in halved],
    }
    fixed = "fixed token budget"
    assert (run["machine"]["batch"] == fixed) == (weights == "organism")
