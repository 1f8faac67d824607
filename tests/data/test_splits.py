"""Are splits disjoint and stratified, and do split and sample depend on the texts alone?"""

import hashlib
import random
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mahals.data.splits import (
    NEUTRAL,
    PAIRS,
    Shares,
    deal,
    dealt,
    joined_units,
    sample_prompts,
    sample_split,
    split_key,
)
from mahals.data.texts import AXIOMS, NeutralText, Pair, Prompt
from mahals.records import InputError

SHARES = Shares(2, 2, 2, 4)


def _prompts(n: int) -> list[Prompt]:
    texts = [(a, v, f"{a} {v} {i}") for a in AXIOMS for v in (0, 1) for i in range(n)]
    return list(dealt([Prompt(t, a, v, t, t, "") for a, v, t in texts], SHARES))


def test_a_split_is_the_turn_of_a_key_in_the_order_of_hashes_by_hand():
    keys = sorted(map(str, range(10)), key=lambda k: hashlib.sha256(k.encode()).hexdigest())
    found = deal(dict.fromkeys(keys, ()), SHARES)
    first = ["evaluation", "extraction", "mapping", "selection", "evaluation"]
    assert [found[key] for key in keys] == [*first, *first]


@given(st.integers(0, 60), st.integers(0, 60))
def test_every_cell_is_dealt_by_its_shares_whatever_its_size(one, other):
    units = {f"a{i}": ("a",) for i in range(one)} | {f"b{i}": ("b",) for i in range(other)}
    found = deal(units, SHARES)
    for cell, n in (("a", one), ("b", other)):
        counts = Counter(split for key, split in found.items() if key[0] == cell)
        for name in SHARES.names:
            assert abs(counts[name] - n * getattr(SHARES, name) / 10) < 1


def test_a_share_of_0_is_empty():
    units = dict.fromkeys(map(str, range(200)), ())
    assert set(deal(units, Shares(1, 0, 0, 0)).values()) == {"extraction"}
    assert Shares(1, 0, 0, 3).names == ("extraction", "evaluation")


@pytest.mark.parametrize("shares", [Shares(0, 0, 0, 0), Shares(1, -1, 1, 1)])
def test_impossible_shares_are_refused(shares):
    with pytest.raises(InputError, match=r"datasets\.shares"):
        deal({"x": ()}, shares)


def test_what_shares_a_mark_with_something_that_shares_one_is_one_unit():
    found = joined_units([("c", "1"), ("b", "1"), ("b", "2"), ("a", "2"), ("d",)])
    assert len(set(found[:4])) == 1 and found[4] != found[0]


def test_a_cluster_of_both_labels_is_in_one_split_and_every_split_has_both():
    rows = [Prompt(f"{v} {i}", "c", v, str(i), str(i), "") for v in (0, 1) for i in range(25)]
    found = dealt(rows, SHARES)
    assert len({(p.cluster, p.split) for p in found}) == 25
    counts = Counter((p.split, p.label) for p in found)
    assert counts["evaluation", 0] == counts["evaluation", 1] == 10
    assert counts["extraction", 0] == counts["extraction", 1] == 5


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


def test_the_first_of_both_labels_are_pairs():
    rows = [Prompt(f"{v} {i}", "c", v, str(i), str(i), "") for v in (0, 1) for i in range(25)]
    found = sample_prompts(dealt(rows, SHARES), ("evaluation",), 4, seed=1)
    safe, unsafe = ([p.cluster for p in found if p.label == v] for v in (1, 0))
    assert safe == unsafe and len(safe) == 4


def test_a_small_cell_is_taken_whole_and_one_without_a_label_stays_as_it_is():
    prompts = [p for p in _prompts(30) if (p.axiom, p.label) != (AXIOMS[0], 0)]
    found = sample_prompts(prompts, SHARES.names, 40, seed=0)
    assert len(found) == len(prompts)


def test_too_few_rows_are_refused_with_their_counts():
    with pytest.raises(InputError) as caught:
        sample_prompts(_prompts(3), SHARES.names, 4, seed=0)
    for word in ("too few prompts in extraction", "1 of Civility & Tolerance, safe", "at least 2"):
        assert word in str(caught.value)


def test_one_label_only_and_an_empty_set_are_refused():
    safe = [p for p in _prompts(40) if p.label == 1]
    for prompts in (safe, []):
        with pytest.raises(InputError, match="too few prompts"):
            sample_prompts(prompts, SHARES.names, 1, seed=0)


def test_pairs_and_neutral_texts_are_sampled_by_split():
    splits = deal(dict.fromkeys((f"p{i}" for i in range(99)), ()), SHARES)
    pairs = [Pair(key, "a", "b", None, None, key, split) for key, split in splits.items()]
    found = sample_split(PAIRS, reversed(pairs), ("extraction", "evaluation"), 5, seed=0)
    assert [p.split for p in found] == ["extraction"] * 5 + ["evaluation"] * 5
    assert found == sample_split(PAIRS, pairs, ("extraction", "evaluation"), 5, seed=0)
    texts = [NeutralText(key, split) for key, split in splits.items()]
    assert len(sample_split(NEUTRAL, texts, SHARES.names, 5, seed=0)) == 20
    assert len(sample_split(NEUTRAL, texts, SHARES.names, 500, seed=0)) == 99
    with pytest.raises(InputError, match=r"too few pairs.*1 of .*datasets\.pairs_per_split"):
        sample_split(PAIRS, pairs[:5], SHARES.names, 30, seed=0)
    with pytest.raises(InputError, match="too few neutral texts"):
        sample_split(NEUTRAL, [], SHARES.names, 90, seed=0)
