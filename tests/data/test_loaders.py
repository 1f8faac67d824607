"""Do pairs and neutral texts come in, and is anything else refused by its line?"""

import json
from pathlib import Path

import pytest

from mahals.data.loaders import load_neutral, load_pairs
from mahals.data.splits import Shares
from mahals.records import InputError
from tests.support.places import SHARED

SHARES = Shares(2, 2, 2, 4)
REAL = SHARED / "hh-rlhf-harmless-base-test.jsonl.gz"


def _jsonl(path: Path, rows) -> str:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return str(path)


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
    assert shares == pytest.approx([0.2, 0.2, 0.2, 0.4], abs=0.01)


def _dialogue(opening, reply):
    return f"\n\nHuman: {opening}\n\nAssistant: {reply}"


def test_replies_are_the_chosen_turns_in_the_split_of_their_pair(tmp_path):
    long = "a reply that has as many words as are wanted, number"
    rows = [
        {"chosen": _dialogue(f"q{i}", f"{long} {i}"), "rejected": _dialogue(f"q{i}", "no")}
        for i in range(30)
    ]
    source = _jsonl(tmp_path / "x.jsonl", [*rows, rows[0]])
    split = {p.chosen: p.split for p in load_pairs(source, SHARES).items}
    found = load_neutral(f"{source}?take=replies", SHARES)
    assert {t.text: t.split for t in found.items} == split
    assert len(set(split.values())) == 4


def test_a_short_reply_is_no_text(tmp_path):
    row = {"chosen": _dialogue("q", "only few words"), "rejected": _dialogue("q", "no")}
    assert load_neutral(_jsonl(tmp_path / "x.jsonl", [row]) + "?take=replies", SHARES).items == ()


def test_neutral_text_in_a_column_of_another_name(tmp_path):
    source = _jsonl(tmp_path / "x.jsonl", [{"Body": "Some prose ."}]) + "?text=body"
    assert [t.text for t in load_neutral(source, SHARES).items] == ["Some prose ."]
