"""Overrides: are keys taken from anywhere on the line, and values as they were typed?"""

from __future__ import annotations

import json

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mahals.cli import build_parser
from mahals.cli.overrides import FLAGS, KEYED, OPTIONS, assignments, split
from mahals.records import InputError


def test_flags_and_options_are_those_of_the_parser() -> None:
    """What `split` leaves to the parser is what the parser of a keyed command knows."""
    commands = next(a for a in build_parser()._actions if a.dest == "command").choices
    known: set[str] = {"--version", "--check", "--prune"}
    takes_value = set()
    for name in KEYED:
        for action in commands[name]._actions:
            known |= set(action.option_strings)
            if action.option_strings and action.nargs is None:
                takes_value |= set(action.option_strings)
    assert takes_value == set(OPTIONS)
    assert known == {*FLAGS, *OPTIONS}


def test_keys_are_taken_from_anywhere_on_the_line() -> None:
    words = ["run", "--source", "Mistral_7B", "cross_arch", "--unit", "A", "--lambdas=[0, 0.5]"]
    words += ["--dry-run", "--dose", "-0.5", "--same_arch.lambdas", "[0, 1]", "--rate", "1e-3"]
    taken = split(words, FLAGS, OPTIONS)
    assert taken.known == ("run", "cross_arch", "--unit", "A", "--dry-run")
    assert taken.keys == {
        "source": "Mistral_7B",
        "lambdas": [0, 0.5],
        "dose": -0.5,
        "same_arch.lambdas": [0, 1],
        "rate": 0.001,
    }


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.dictionaries(
        st.from_regex(r"[a-z_]{3,12}(\.[a-z_]{1,9})?", fullmatch=True),
        st.one_of(st.integers(), st.booleans(), st.lists(st.integers(0, 9)), st.just("Mistral_7B")),
    )
)
def test_values_survive_the_command_line(keys: dict[str, object]) -> None:
    as_text = {key: json.dumps(value) for key, value in keys.items()}
    words = [word for key, text in as_text.items() for word in (f"--{key}", text)]
    reserved = {option.removeprefix("--") for option in (*FLAGS, *OPTIONS)}
    if not reserved & set(keys):
        assert split(["run", *words], FLAGS, OPTIONS).keys == keys
    assert assignments([f"{key}={text}" for key, text in as_text.items()]) == keys


@pytest.mark.parametrize(
    ("words", "part"),
    [
        (["run", "--lambdas"], "a value after it"),
        (["run", "--a", "1", "--a=2"], "give a once"),
        (["run", "--a", "[1, "], "YAML"),
    ],
)
def test_a_key_that_cannot_be_read_is_refused(words: list[str], part: str) -> None:
    with pytest.raises(InputError, match=part):
        split(words, FLAGS, OPTIONS)
