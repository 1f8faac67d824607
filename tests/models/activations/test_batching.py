"""Do batches hold every text once, within the budget and with little padding?"""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mahals.data.world.everyday import neutral
from mahals.data.world.grammar import World, prompts
from mahals.models.activations.batching import PADDING, batches, grouped, shorten
from mahals.models.activations.budget import TOKENS_PER_BATCH
from mahals.models.activations.encoding import Encoded, encode_prompts, encode_texts
from mahals.records import InputError
from tests.support.tiny_models import PROMPTS, loaded


@given(st.lists(st.integers(1, 3000), min_size=1, max_size=300))
def test_groups_hold_every_text_once_within_budget_and_padding(lengths):
    groups = grouped(lengths)
    assert sorted(i for g in groups for i in g) == list(range(len(lengths)))
    for group in groups:
        longest = max(lengths[i] for i in group)
        assert len(group) == 1 or longest * len(group) <= TOKENS_PER_BATCH
        assert longest * len(group) <= PADDING * sum(lengths[i] for i in group)


@pytest.mark.parametrize("side", ["left", "right"])
def test_a_batch_pads_and_masks_on_its_side(side):
    at = loaded("Llama")
    encoded = encode_prompts(at.tokenizer, PROMPTS)
    seen = []
    for batch in batches(at, encoded, side=side):
        for r, i in enumerate(batch.rows):
            seen.append(i)
            real = batch.mask[r].bool()
            assert tuple(batch.ids[r][real].tolist()) == encoded[i].ids
            assert batch.positions[r][real].tolist() == list(range(len(encoded[i].ids)))
            assert batch.ids[r, batch.last[r]] == encoded[i].ids[-1]
            mine = encoded[i].ids[encoded[i].start : encoded[i].stop]
            assert tuple(batch.ids[r][batch.own[r]].tolist()) == mine
    assert sorted(seen) == list(range(len(PROMPTS)))


def test_shorten_keeps_the_begin_token_and_the_end():
    text = Encoded(tuple(range(100, 120)), 12, 20)
    (short,) = shorten([text], 10)
    assert short == Encoded((100, *range(111, 120)), 2, 10)
    (cut,) = shorten([Encoded(tuple(range(20)), 3, 19)], 5)
    assert cut == Encoded((0, 16, 17, 18, 19), 1, 4)
    assert shorten([text], 20) == [text]
    with pytest.raises(InputError, match="own tokens among its last 4"):
        shorten([Encoded(tuple(range(20)), 3, 9)], 4)


def test_padding_is_low_on_ragged_texts():
    at = loaded("Llama")
    lengths = [5 + (i * i * 7) % 90 for i in range(200)]
    encoded = [Encoded(tuple([1] * n), 0, n) for n in lengths]
    padded = sum(b.ids.numel() for b in batches(at, encoded))
    assert padded <= 1.10 * sum(lengths)


def test_padding_of_real_prompts_and_stories():
    at = loaded("Llama")
    texts = [p.text for p in prompts(World(0), "evaluation", 15, 0)]
    texts += neutral(World(0), "evaluation", 80, 0)
    encoded = encode_texts(at.tokenizer, texts)
    fitting = [e for e in encoded if len(e.ids) <= 128]
    for some in (encoded[:210], fitting):
        assert len(some) >= 200
        padded = sum(b.ids.numel() for b in batches(at, some))
        assert padded / sum(len(e.ids) for e in some) <= 1.10
