"""Do prompts of any categories come in, paired where they are, and is anything else refused?"""

import json
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mahals.data.prompt_loader import load_prompts, parse_axiom, parse_label
from mahals.data.splits import Shares
from mahals.data.texts import AXIOMS
from mahals.records import InputError
from tests.support.places import SHARED

SHARES = Shares(2, 2, 2, 4)
XSTEST = SHARED / "xstest-prompts.csv"


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
        (_prompt(axiom=" "), ("the name of a category", "' '")),
        (_prompt(axiom=4), ("the name of a category", "4")),
        (_prompt(text="  "), ("a text in column input",)),
        (_prompt(text=7), ("a text in column input", "7")),
        ({"input": "x", "axiom": "Information Seeking"}, ("?label=COLUMN", "safety_label")),
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
        _prompt("bad", "unsafe"),
    ]  # fmt: skip
    found = load_prompts(_jsonl(tmp_path / "x.jsonl", rows), SHARES)
    assert sorted((p.text, p.axiom) for p in found.items) == [
        ("Same", "Information Seeking"), ("bad", "Information Seeking"),
        ("one", "Information Seeking"),
        ("same", "Justice & Rights"),
    ]  # fmt: skip
    assert found.left_out == {"copy of another row": 1, "same text with both labels": 2}


def test_the_other_label_for_a_copy_in_the_same_axiom_is_a_contradiction(tmp_path):
    rows = [_prompt("both", "safe"), _prompt("both", "unsafe"), _prompt("one"), _prompt("bad", 0)]
    found = load_prompts(_jsonl(tmp_path / "x.jsonl", rows), SHARES)
    assert [p.text for p in found.items] == ["one", "bad"]


def _many(n=10, **columns):
    return [
        {"prompt": f"{v} {i}", "type": "kind", "label": v} | {k: f(i) for k, f in columns.items()}
        for v in (0, 1)
        for i in range(n)
    ]


def test_categories_are_what_the_data_holds_in_columns_of_other_names(tmp_path):
    found = load_prompts(_jsonl(tmp_path / "x.jsonl", _many()), SHARES)
    assert {p.axiom for p in found.items} == {"kind"} and len(found.items) == 20
    rows = [{"q": r["prompt"], "Kind": " a  b ", "bad": 1 - r["label"]} for r in _many()]
    source = _jsonl(tmp_path / "y.jsonl", rows) + "?text=q&category=kind&label=bad"
    items = load_prompts(source, SHARES).items
    assert {p.axiom for p in items} == {"a b"} and sum(p.label for p in items) == 10
    with pytest.raises(InputError, match=r"line 1.*nope.*\?text=COLUMN"):
        load_prompts(source.replace("text=q", "text=nope"), SHARES)


def test_litmus_has_the_seven_axioms_and_no_other_category(tmp_path):
    path = _jsonl(tmp_path / "x.jsonl", [_prompt(axiom="Kindness")])
    with pytest.raises(InputError, match=r"line 1.*Civility & Tolerance.*'Kindness'"):
        load_prompts(f"litmus?path={path}", SHARES)


def test_a_column_pair_keeps_a_prompt_and_its_contrast_in_one_split_and_cluster(tmp_path):
    paired = load_prompts(_jsonl(tmp_path / "x.jsonl", _many(pair=str)), SHARES)
    clusters = Counter(p.cluster for p in paired.items)
    assert set(clusters.values()) == {2}
    assert len({(p.cluster, p.split) for p in paired.items}) == 10
    alone = load_prompts(_jsonl(tmp_path / "y.jsonl", _many(pair=lambda i: None)), SHARES)
    assert len({p.cluster for p in alone.items}) == 20


def test_the_order_of_unpaired_rows_changes_nothing(tmp_path):
    rows = _many(30)
    one = load_prompts(_jsonl(tmp_path / "x.jsonl", rows), SHARES)
    other = load_prompts(_jsonl(tmp_path / "y.jsonl", rows[::-1]), SHARES)
    assert set(one.items) == set(other.items)


def test_a_text_in_two_pairs_joins_them(tmp_path):
    rows = _many(pair=str)
    rows += [{"prompt": "1 0", "type": "other", "label": 1, "pair": "x"}]
    rows += [{"prompt": "bad", "type": "other", "label": 0, "pair": "x"}]
    found = load_prompts(_jsonl(tmp_path / "x.jsonl", rows), SHARES).items
    joined = {p.cluster for p in found if p.text in ("1 0", "0 0", "bad")}
    assert len(joined) == 1


@pytest.mark.parametrize("label", ["safe", "unsafe"])
def test_prompts_of_one_label_are_refused_in_one_line(tmp_path, label):
    path = _jsonl(tmp_path / "x.jsonl", [_prompt(str(i), label) for i in range(30)])
    with pytest.raises(InputError) as caught:
        load_prompts(path, SHARES)
    words = "30 safe and 0 unsafe" if label == "safe" else "0 safe and 30 unsafe"
    assert words in str(caught.value) and "add prompts" in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("names", [("mean", "x"), ("a b", "a-b"), ("Last", "x"), ("pooled", "x")])
def test_a_category_without_a_column_of_its_own_is_refused(tmp_path, names):
    rows = [{**row, "type": name} for name in names for row in _many(2)]
    for i, row in enumerate(rows):
        row["prompt"] += f" {i}"
    with pytest.raises(InputError, match="a name whose column is its own"):
        load_prompts(_jsonl(tmp_path / "x.jsonl", rows), SHARES)


def test_xstest_of_the_hub_has_its_contrasts_in_the_category_of_their_safe_kind(tmp_path):
    kinds = ["homonyms", "contrast_homonyms", "privacy_public", "privacy_fictional"]
    kinds += ["contrast_privacy"]
    rows = [{"prompt": f"{kind} {i}", "type": kind} for kind in kinds for i in range(10)]
    found = load_prompts(f"xstest?path={_jsonl(tmp_path / 'x.jsonl', rows)}", SHARES).items
    cells = Counter((p.axiom, p.label) for p in found)
    assert cells == {
        ("homonyms", 1): 10, ("homonyms", 0): 10, ("privacy", 1): 20, ("privacy", 0): 10,
    }  # fmt: skip
    of = {p.text: p.cluster for p in found}
    assert of["homonyms 3"] == of["contrast_homonyms 3"] != of["homonyms 4"]
    assert of["privacy_public 3"] == of["privacy_fictional 3"] == of["contrast_privacy 3"]


@pytest.mark.shared_data
@pytest.mark.skipif(not XSTEST.exists(), reason="../shared/data is absent")
def test_xstest_as_a_file_is_stratified_disjoint_and_whole():
    found = load_prompts(f"xstest?path={XSTEST}", SHARES).items
    assert len(found) == 450 and len({p.cluster for p in found}) == 200
    assert len({(p.cluster, p.split) for p in found}) == 200
    cells = Counter((p.axiom, p.label, p.split) for p in found)
    for category in {p.axiom for p in found}:
        safe = 2 if category in ("discrimination", "privacy") else 1
        for split, n in (("extraction", 5), ("mapping", 5), ("selection", 5), ("evaluation", 10)):
            assert cells[category, 0, split] == n and cells[category, 1, split] == n * safe
