"""Records: do typed values come back from plain data, and is nothing else let through?"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mahals.records import (
    Among,
    AtLeast,
    InputError,
    OneOf,
    canonical,
    digest,
    from_plain,
    references,
    seed_of,
    to_plain,
    unknown,
)


@dataclass(frozen=True)
class Inner:
    kind: Literal["a", "b"]
    share: float | None


@dataclass(frozen=True)
class Outer:
    name: str
    pair: tuple[int, float]
    many: tuple[Inner, ...]
    by_name: dict[str, int]
    flag: bool
    note: str = "none"
    tags: list[str] = field(default_factory=list)


ONE = Outer("x", (1, 2.0), (Inner("a", None), Inner("b", 0.5)), {"k": 3}, True)
numbers = st.floats(allow_nan=False, allow_infinity=False)


@given(
    st.builds(
        Outer,
        name=st.text(),
        pair=st.tuples(st.integers(), numbers),
        many=st.lists(
            st.builds(Inner, kind=st.sampled_from(["a", "b"]), share=st.none() | numbers)
        ).map(tuple),
        by_name=st.dictionaries(st.text(), st.integers()),
        flag=st.booleans(),
        note=st.text(),
        tags=st.lists(st.text()),
    )
)
def test_a_value_comes_back_from_its_json(value: Outer) -> None:
    assert from_plain(Outer, json.loads(canonical(value))) == value


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"nam": "x"}, r"did you mean 'name'\? unknown key in Outer: .* got 'nam'; "),
        ({"name": 1}, r"Outer\.name: expected a text, got 1 \(int\)"),
        ({"flag": 1}, r"Outer\.flag: expected true or false"),
        ({"pair": [1, 2, 3]}, r"Outer\.pair: expected a list of 2"),
        ({"pair": [True, 2.0]}, r"Outer\.pair\[0\]: expected a whole number"),
        ({"pair": [1, float("inf")]}, r"Outer\.pair\[1\]: expected a finite number"),
        ({"many": [{"kind": "c", "share": None}]}, r"Outer\.many\[0\]\.kind: expected one of a, b"),
        ({"many": [{"kind": "a"}]}, r"Outer\.many\[0\]: .*got none for share; add share"),
        ({"many": "ab"}, r"Outer\.many: expected a list"),
        ({"by_name": {"k": "3"}}, r"Outer\.by_name\.k: expected a whole number"),
        ({"by_name": [3]}, r"Outer\.by_name: expected a mapping"),
    ],
)
def test_what_does_not_fit_is_refused_with_its_place(change: dict[str, Any], said: str) -> None:
    plain = to_plain(ONE)
    assert isinstance(plain, dict)
    with pytest.raises(InputError, match=said):
        from_plain(Outer, plain | change)


def test_a_field_with_a_default_may_be_absent_and_others_may_not() -> None:
    plain = to_plain(ONE)
    assert isinstance(plain, dict)
    short = {k: v for k, v in plain.items() if k not in ("note", "tags")}
    assert from_plain(Outer, short) == ONE
    with pytest.raises(InputError, match=r"the section: .* got none for name; add name"):
        from_plain(Outer, {k: v for k, v in short.items() if k != "name"}, "the section")


def test_plain_data_hold_numbers_of_libraries_and_no_nan() -> None:
    assert to_plain({1: np.float32(0.5), "s": {"b", "a"}, "t": (np.int64(2),)}) == {
        "1": 0.5,
        "s": ["a", "b"],
        "t": [2],
    }
    with pytest.raises(InputError, match="leave the cell absent and give the reason"):
        to_plain([float("nan")])
    with pytest.raises(TypeError, match="no plain form for object"):
        to_plain(object())


def test_a_digest_is_that_of_one_line_of_sorted_json() -> None:
    text = '{"a":["\u00e9",1.5],"b":null}'
    assert canonical({"b": None, "a": ["\u00e9", 1.5]}) == text
    assert digest({"b": None, "a": ["\u00e9", 1.5]}) == hashlib.sha256(text.encode()).hexdigest()


def test_a_seed_follows_what_is_said_and_nothing_else() -> None:
    assert seed_of("x", 1) == seed_of("x", 1) != seed_of("x", 2) != seed_of(1, "x")
    first = hashlib.sha256(b'["x",1]').digest()[:8]
    assert seed_of("x", 1) == int.from_bytes(first) // 2 < 2**63


def test_an_unknown_name_is_told_the_nearest_one() -> None:
    error = unknown("model", "Mistrl", ["Qwen", "Mistral"])
    assert str(error) == (
        "did you mean 'Mistral'? unknown model: expected one of Mistral, Qwen, got 'Mistrl'; "
        "choose one of them"
    )
    assert unknown("model", "zzz", ["Qwen"]).cure == "choose one of them"
    assert unknown("model", "zzz", ["Qwen"], "look there").cure == "look there"


TABLE = {"red": 1, "blue": 2}


@dataclass(frozen=True)
class Ruled:
    colour: Annotated[str, OneOf(TABLE)] | None
    sizes: Annotated[tuple[Annotated[int, AtLeast(2)], ...], AtLeast(1)]
    name: Annotated[str, Among("other.names", ("all",))]


@dataclass(frozen=True)
class Around:
    inner: Ruled


RULED = {"colour": "red", "sizes": [2], "name": "x"}


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (
            {"colour": "blu"},
            "did you mean 'blue'? unknown r.colour: expected one of blue, red, got 'blu'",
        ),
        ({"sizes": []}, "r.sizes: expected 1 or more in a list, got []"),
        ({"sizes": [2, 1]}, "r.sizes[1]: expected 2 or more, got 1"),
    ],
)
def test_a_value_outside_its_rule_is_refused_with_its_place(
    change: dict[str, Any], said: str
) -> None:
    assert from_plain(Ruled, {**RULED, "colour": None}, "r").colour is None
    with pytest.raises(InputError) as error:
        from_plain(Ruled, {**RULED, **change}, "r")
    assert str(error.value).startswith(said)


def test_a_name_that_another_key_lists_is_found_with_its_place() -> None:
    one = from_plain(Around, {"inner": RULED}, "a")
    assert to_plain(one) == {"inner": RULED}, "rules change no plain form"
    assert list(references(one, "a")) == [("a.inner.name", Among("other.names", ("all",)), "x")]
