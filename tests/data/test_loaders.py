"""Do labels and axioms in any usual spelling come in, and is anything else refused by its line?"""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mahals.data.loaders import load_neutral, load_pairs, load_prompts, parse_axiom, parse_label
from mahals.data.splits import Shares
from mahals.data.texts import AXIOMS
from mahals.records import InputError
from tests.support.places import SHARED

SHARES = Shares(2, 2, 2, 4)
REAL = SHARED / "hh-rlhf-harmless-base-test.jsonl.gz"


def _jsonl(path: Path, rows) -> str:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return str(path)


def _prompt(text="a text", label="safe", axiom="Information Seeking"):
    return {"input": text, "safety_label": label, "axiom": axiom}


@pytest.mark.parametrize(
    ("value", "label"),
    [
        ("safe", 1), ("Safe ", 1), (" SAFE", 1), (1, 1), (1.0, 1), ("1", 1), ("1.0", 1),
        (True, 1), ("True", 1), ("yes", 1), ("Y", 1), ("harmless", 1), ("benign", 1),
        ("unsafe", 0), ("UnSafe", 0), ("not safe", 0), ("un-safe", 0), ("non_safe", 0),
        (0, 0), (0.0, 0), ("0", 0), (False, 0), ("false", 0), ("No", 0), ("harmful", 0),
        ("maybe", None), ("", None), (None, None), (2, None), (-1, None), (0.5, None),
        (float("nan"), None), ("safe?", None), ([1], None), ({"safe": 1}, None),
    ],
)  # fmt: skip
def test_labels(value, label):
    assert parse_label(value) == label


@given(st.sampled_from(AXIOMS), st.randoms(use_true_random=False))
def test_an_axiom_is_known_in_any_usual_spelling(axiom, rng):
    text = axiom.replace("&", rng.choice(("&", "and", "AND", " & ", "/")))
    text = text.replace("-", rng.choice(("-", " ", "", "\u2011"))).replace(" ", rng.choice(" _"))
    text = "".join(rng.choice((c.upper(), c.lower())) for c in text)
    assert parse_axiom(rng.choice(("", "  ")) + text + rng.choice(("", " "))) == axiom


@pytest.mark.parametrize("value", ["", "Civility", "Justice", None, 3, "Wisdom & Knowledge & More"])
def test_an_axiom_that_is_none_of_the_seven_is_unknown(value):
    assert parse_axiom(value) is None


@pytest.mark.parametrize(
    ("bad", "words"),
    [
        (_prompt(label="perhaps"), ("safety_label", "'perhaps'")),
        (_prompt(label=None), ("safety_label", "None")),
        (_prompt(axiom="Kindness"), ("Civility & Tolerance", "'Kindness'")),
        (_prompt(text="  "), ("a text in column input",)),
        (_prompt(text=7), ("a text in column input", "7")),
        ({"input": "x", "axiom": "Information Seeking"}, ("safety_label",)),
    ],
)
def test_a_bad_row_is_refused_by_its_line(tmp_path, bad, words):
    rows = [_prompt("one"), _prompt("two"), bad, _prompt("four")]
    with pytest.raises(InputError) as caught:
        load_prompts(_jsonl(tmp_path / "x.jsonl", rows), SHARES)
    assert all(word in str(caught.value) for word in ("line 3", "expected", "got", *words))


def test_prompts_come_with_axiom_label_key_and_split(tmp_path):
    rows = [_prompt("How?", "Harmful", "justice AND rights"), _prompt(" Why? ", 1)]
    found = load_prompts(_jsonl(tmp_path / "x.jsonl", rows), SHARES)
    first, second = found.items
    assert (first.text, first.axiom, first.label) == ("How?", "Justice & Rights", 0)
    assert (second.text, second.key, second.cluster) == ("Why?", "why?", "why?")
    assert found.rows == 2 and not found.left_out


def test_copies_and_contradictions_are_left_out_and_counted(tmp_path):
    rows = [
        _prompt("same"), _prompt("Same "), _prompt("same", axiom="Justice & Rights"),
        _prompt("both", "safe"), _prompt("both", "unsafe", "Justice & Rights"), _prompt("one"),
    ]  # fmt: skip
    found = load_prompts(_jsonl(tmp_path / "x.jsonl", rows), SHARES)
    assert sorted((p.text, p.axiom) for p in found.items) == [
        ("Same", "Information Seeking"), ("one", "Information Seeking"),
        ("same", "Justice & Rights"),
    ]  # fmt: skip
    assert found.left_out == {"copy of another row": 1, "same text with both labels": 2}


def test_the_other_label_for_a_copy_in_the_same_axiom_is_a_contradiction(tmp_path):
    rows = [_prompt("both", "safe"), _prompt("both", "unsafe"), _prompt("one")]
    found = load_prompts(_jsonl(tmp_path / "x.jsonl", rows), SHARES)
    assert [p.text for p in found.items] == ["one"]


def test_pairs_with_a_column_prompt(tmp_path):
    row = {"prompt": "hi", "chosen": "yes", "rejected": ""}
    found = load_pairs(_jsonl(tmp_path / "x.jsonl", [row, row]), SHARES)
    (pair,) = found.items
    assert (pair.prompt, pair.chosen, pair.rejected) == ("hi", "yes", "")
    assert (pair.axiom, pair.label) == (None, None)
    assert found.left_out == {"copy of another row": 1}


def test_a_pair_that_does_not_differ_is_refused_by_its_line(tmp_path):
    same = "\n\nHuman: a\n\nAssistant: b"
    rows = [{"chosen": same, "rejected": same + "c"}, {"chosen": same, "rejected": same}]
    with pytest.raises(InputError, match="line 2"):
        load_pairs(_jsonl(tmp_path / "x.jsonl", rows), SHARES)


def test_pairs_with_one_opening_fall_into_one_split(tmp_path):
    rows = [
        {"chosen": f"\n\nHuman: a\n\nAssistant: {i}", "rejected": "\n\nHuman: A\n\nAssistant: no"}
        for i in range(9)
    ]
    for row in rows:
        row["rejected"] = row["rejected"].replace("Human: A", "Human: a")
    found = load_pairs(_jsonl(tmp_path / "x.jsonl", rows), SHARES)
    assert len({pair.split for pair in found.items}) == 1


def test_neutral_text_leaves_blank_rows_and_headings_out(tmp_path):
    rows = [{"text": t} for t in ("", " = Head = \n", " Some prose . \n", "Some prose .")]
    found = load_neutral(_jsonl(tmp_path / "x.jsonl", [*rows, {"text": None}]), SHARES)
    assert [t.text for t in found.items] == ["Some prose ."]
    assert found.left_out == {"blank or a heading": 3, "copy of another row": 1}


@pytest.mark.shared_data
@pytest.mark.skipif(not REAL.exists(), reason="../shared/data is absent")
def test_all_real_pairs_load():
    found = load_pairs(str(REAL), SHARES)
    assert (found.rows, len(found.items)) == (2312, 2312)
    assert not found.left_out
    assert sum(not pair.chosen for pair in found.items) == 4
    shares = [sum(p.split == s for p in found.items) / 2312 for s in SHARES.names]
    assert shares == pytest.approx([0.2, 0.2, 0.2, 0.4], abs=0.03)
