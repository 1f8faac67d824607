"""Is a model refused by name that padding, a cache or its head would make wrong?"""

import inspect
import time

import pytest
import torch
from transformers import LlamaForCausalLM

from mahals.models.activations.batching import model_inputs, pad
from mahals.models.activations.encoding import Encoded
from mahals.models.checkpoints import fitness
from mahals.models.checkpoints.fitness import check_fitness
from mahals.records import InputError
from tests.support.checkpoint_folders import one_line
from tests.support.other_families import PRICED, RECURRENT, other
from tests.support.tiny_models import FAMILIES, config, fresh, loaded

TYPES = [torch.float32, torch.bfloat16, torch.float16]


@pytest.mark.parametrize("dtype", TYPES, ids=str)
@pytest.mark.parametrize("family", [*FAMILIES, *PRICED])
def test_a_family_with_a_mask_and_a_cache_is_fit(family, dtype):
    at = other(family, dtype) if family in PRICED else fresh(family)
    check_fitness(at.model.to(dtype), len(at.tokenizer))


@pytest.mark.parametrize("dtype", TYPES[:2], ids=str)
@pytest.mark.parametrize("family", RECURRENT)
def test_a_recurrent_family_is_refused_by_name(family, dtype):
    at = other(family, dtype)
    with pytest.raises(InputError, match=type(at.model).__name__) as error:
        check_fitness(at.model, len(at.tokenizer))
    one_line(error)


def test_a_model_without_an_attention_mask_is_told_of_padding():
    with pytest.raises(InputError, match="same states of left- and right-padded texts"):
        check_fitness(other("rwkv").model, 320)


class Unmasked(LlamaForCausalLM):
    """Attends to padding too."""

    def forward(self, input_ids, attention_mask=None, **more):
        return super().forward(input_ids, torch.ones_like(attention_mask), **more)


class Forgetful(LlamaForCausalLM):
    """Reads each token as if its cache were empty."""

    def forward(self, input_ids, attention_mask=None, cache=None, **more):
        mask = attention_mask[:, -input_ids.shape[1] :]
        return super().forward(input_ids, mask, use_cache=False)


class Elsewhere(LlamaForCausalLM):
    """Keeps keys and values where they are: a row that moves in the batch meets another's."""

    def forward(self, input_ids, attention_mask=None, cache=None, **more):
        if cache is not None:
            cache.batch_select_indices = lambda _: None
        return super().forward(input_ids, attention_mask, cache=cache, **more)


class Broken(LlamaForCausalLM):
    """Fails on its second line."""

    def forward(self, input_ids, **more):
        raise RuntimeError("no such kernel\nand a long story")


class Shortcut(LlamaForCausalLM):
    """Logits that do not follow from the last block's states alone."""

    def forward(self, input_ids, **more):
        out = super().forward(input_ids, **more)
        out.logits = out.logits + 0.5 * self.lm_head(self.model.embed_tokens(input_ids))
        return out


class NotFinite(LlamaForCausalLM):
    """States that are no numbers."""

    def forward(self, input_ids, **more):
        self.model.layers[-1].mlp.down_proj.weight.data.fill_(float("nan"))
        return super().forward(input_ids, **more)


@pytest.mark.parametrize(
    "kind, told",
    [
        (Unmasked, "left- and right-padded"),
        (Forgetful, "key-value cache and without"),
        (Elsewhere, "key-value cache and without"),
        (Broken, "no such kernel;"),
        (NotFinite, "off by nan"),
        (Shortcut, "follow from the states after the last block"),
    ],
)
def test_what_is_wrong_is_said(kind, told):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = kind(config("Llama")).eval()
    with pytest.raises(InputError, match=f"{kind.__name__}.*{told}") as error:
        check_fitness(model, 320)
    one_line(error)


@pytest.mark.parametrize("side", ["left", "right"])
@pytest.mark.parametrize("family", ["Llama", "GPT2", "Falcon"])
def test_the_model_is_asked_as_it_is_asked_later(family, side, monkeypatch):
    at, asked = fresh(family), []
    own = at.model.forward

    def forward(**inputs):
        asked.append(inputs)
        return own(**inputs)

    forward.__signature__ = inspect.signature(own)
    monkeypatch.setattr(at.model, "forward", forward)
    texts = [(3, 4), (5, 6, 7)]
    padded = fitness._padded(texts, side, at.device)
    fitness._Reader(at.model).read(padded, slice(None), None)
    batch = pad(at, [Encoded(t, 0, len(t)) for t in texts], [0, 1], side)
    wanted = model_inputs(at, batch) | {"use_cache": False}
    assert asked[0].keys() == wanted.keys()
    assert all(bool(torch.as_tensor(asked[0][k] == wanted[k]).all()) for k in wanted)


class Lazy(LlamaForCausalLM):
    """Makes a tensor of its own on its first line, and keeps it."""

    def forward(self, input_ids, **more):
        size = vars(self).setdefault("_size", torch.ones(1))
        embeddings = self.model.embed_tokens(input_ids) * size
        return super().forward(inputs_embeds=embeddings, **more)


def test_the_check_leaves_the_model_trainable_and_without_hooks():
    model = Lazy(config("Llama")).eval()
    check_fitness(model, 320)
    assert not any(m._forward_hooks for m in model.modules())
    model(torch.tensor([[1, 2, 3]])).logits.sum().backward()
    assert model.lm_head.weight.grad is not None


def test_the_check_of_a_small_model_is_quick():
    at = loaded("Llama")
    check_fitness(at.model, len(at.tokenizer))
    seconds = []
    for _ in range(5):
        start = time.perf_counter()
        check_fitness(at.model, len(at.tokenizer))
        seconds.append(time.perf_counter() - start)
    assert min(seconds) < 0.05
