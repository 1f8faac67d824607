"""Are splits disjoint, and do split and sample depend on the texts alone?"""

import hashlib
import random
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mahals.data.splits import (
    Shares,
    sample_neutral,
    sample_pairs,
    sample_prompts,
    split_key,
    split_of,
)
from mahals.data.texts import AXIOMS, NeutralText, Pair, Prompt
from mahals.records import InputError

SHARES = Shares(2, 2, 2, 4)


def _prompts(n: int) -> list[Prompt]:
    found = []
    for axiom in AXIOMS:
        for label in (0, 1):
            for i in range(n):
                text = f"{axiom} {label} {i}"
                found.append(Prompt(text, axiom, label, text, text, split_of(text, SHARES)))
    return found


def test_a_split_is_the_hash_bucket_by_hand():
    place = int(hashlib.sha256(b"a key").hexdigest()[:16], 16) / 2**64
    names = ["extraction"] * 2 + ["mapping"] * 2 + ["selection"] * 2 + ["evaluation"] * 4
    assert split_of("a key", SHARES) == names[int(place * 10)]


def test_shares_are_met_and_a_share_of_0_is_empty():
    counts = Counter(split_of(str(i), SHARES) for i in range(5000))
    assert counts["evaluation"] / 5000 == pytest.approx(0.4, abs=0.03)
    assert counts["mapping"] / 5000 == pytest.approx(0.2, abs=0.03)
    assert {split_of(str(i), Shares(1, 0, 0, 0)) for i in range(200)} == {"extraction"}
    assert Shares(1, 0, 0, 3).names == ("extraction", "evaluation")


@pytest.mark.parametrize("shares", [Shares(0, 0, 0, 0), Shares(1, -1, 1, 1)])
def test_impossible_shares_are_refused(shares):
    with pytest.raises(InputError, match=r"datasets\.shares"):
        split_of("x", shares)


@given(st.text())
def test_copies_of_a_text_share_a_key(text):
    assert split_key(split_key(text)) == split_key(text)
    assert split_key(f"  {text}\n") == split_key(text)


@settings(max_examples=10)
@given(st.randoms(use_true_random=False))
def test_a_sample_does_not_depend_on_the_order_of_the_rows(rng: random.Random):
    prompts = _prompts(30)
    first = sample_prompts(prompts, SHARES.names, 2, seed=3)
    rng.shuffle(prompts)
    assert sample_prompts(prompts, SHARES.names, 2, seed=3) == first


def test_a_sample_is_balanced_disjoint_and_grows_with_its_size():
    prompts = _prompts(80)
    small = sample_prompts(prompts, SHARES.names, 3, seed=0)
    large = sample_prompts(prompts, SHARES.names, 6, seed=0)
    cells = Counter((p.split, p.axiom, p.label) for p in small)
    assert set(cells.values()) == {3} and len(cells) == 4 * 7 * 2
    assert set(small) < set(large)
    keys = {s: {p.key for p in large if p.split == s} for s in SHARES.names}
    assert sum(map(len, keys.values())) == len(set.union(*keys.values()))


def test_another_seed_takes_other_texts_and_moves_none_to_another_split():
    prompts = _prompts(60)
    first, second = (sample_prompts(prompts, SHARES.names, 4, seed=s) for s in (0, 1))
    assert set(first) != set(second)
    split = {p.key: p.split for p in first}
    assert all(split.get(p.key, p.split) == p.split for p in second)


def test_too_few_rows_are_refused_with_their_counts():
    prompts = [p for p in _prompts(60) if (p.axiom, p.label) != (AXIOMS[0], 0)]
    with pytest.raises(InputError) as caught:
        sample_prompts(prompts, SHARES.names, 4, seed=0)
    for word in ("too few prompts", "0 of extraction, Civility & Tolerance, unsafe", "at least 4"):
        assert word in str(caught.value)


def test_one_label_only_and_an_empty_set_are_refused():
    safe = [p for p in _prompts(40) if p.label == 1]
    for prompts in (safe, []):
        with pytest.raises(InputError, match="too few prompts"):
            sample_prompts(prompts, SHARES.names, 1, seed=0)


def test_pairs_and_neutral_texts_are_sampled_by_split():
    pairs = [
        Pair(f"p{i}", "a", "b", None, None, f"p{i}", split_of(f"p{i}", SHARES)) for i in range(99)
    ]
    found = sample_pairs(reversed(pairs), ("extraction", "evaluation"), 5, seed=0)
    assert [p.split for p in found] == ["extraction"] * 5 + ["evaluation"] * 5
    assert found == sample_pairs(pairs, ("extraction", "evaluation"), 5, seed=0)
    texts = [NeutralText(f"t{i}", split_of(f"t{i}", SHARES)) for i in range(99)]
    assert len(sample_neutral(texts, SHARES.names, 5, seed=0)) == 20
    with pytest.raises(InputError, match=r"too few pairs.* of mapping"):
        sample_pairs(pairs, SHARES.names, 30, seed=0)
    with pytest.raises(InputError, match="too few neutral texts"):
        sample_neutral(texts, SHARES.names, 90, seed=0)
