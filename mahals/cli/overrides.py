"""Overrides: which words of a command line are keys of params.yaml, and what are their values?"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from mahals.records import InputError

KEYED = ("run", "study", "gather", "draw")
"""Commands that take any key of params.yaml as `--<key> <value>`."""

HELP = ("-h", "--help")
FLAGS = (*HELP, "--version", "--dry-run", "--units-only", "--check", "--prune")
OPTIONS = ("--set", "--unit", "--workers")
RESERVED = frozenset(word.lstrip("-") for word in (*FLAGS, *OPTIONS))
"""What is no key on a command line: a key of that name is typed with its section's name."""

EXPONENT = re.compile(r"[-+]?\d+(\.\d*)?[eE][-+]?\d+")  # 1e-3: a number here, a text to YAML 1.1


@dataclass(frozen=True)
class Words:
    """A command line taken apart: what the parser knows, and `--<key> <value>` of params.yaml."""

    known: tuple[str, ...]
    keys: dict[str, Any]


def split(words: Sequence[str], flags: Collection[str], options: Collection[str]) -> Words:
    """Takes `--<key> <value>` and `--<key>=<value>` apart from `flags` and `options` (with value).

    Raises InputError for a key without value or given twice.
    """
    known: list[str] = []
    keys: dict[str, Any] = {}
    rest = iter(words)
    for word in rest:
        name, equals, value = word.partition("=")
        if name in options:
            known += [word] if equals else [word, *_next(rest)]
        elif not word.startswith("--") or word in flags:
            known.append(word)
        else:
            given = [value] if equals else _next(rest)
            if not given:
                raise InputError(
                    word, expected="a value after it", got="none", cure=f"{word} VALUE"
                )
            put(keys, name.removeprefix("--"), given[0])
    return Words(tuple(known), keys)


def assignments(pairs: Sequence[str]) -> dict[str, Any]:
    """`key=value` words (of `--set`) as a mapping. Raises InputError for a word without `=`."""
    keys: dict[str, Any] = {}
    for pair in pairs:
        name, equals, value = pair.partition("=")
        if not equals or not name:
            raise InputError("--set", expected="key=value", got=repr(pair), cure="--set key=value")
        put(keys, name, value)
    return keys


def together(pairs: Sequence[str], keys: Mapping[str, Any]) -> dict[str, Any]:
    """The keys of `--set` and of `--<key> <value>`. Raises InputError for one that is in both."""
    both = assignments(pairs)
    for key, value in keys.items():
        if key in both:
            raise InputError(f"key {key}", expected="one value", got="two", cure=f"give {key} once")
        both[key] = value
    return both


def put(keys: dict[str, Any], name: str, text: str) -> None:
    """Adds a key with its value read as YAML. Raises InputError when it is there already."""
    if name in keys:
        raise InputError(f"key {name}", expected="one value", got="two", cure=f"give {name} once")
    keys[name] = value_of(name, text)


def value_of(name: str, text: str) -> Any:
    """A value as YAML reads it, but with 1e-3 a number. Raises InputError when it is not YAML."""
    import yaml

    try:
        value = yaml.safe_load(text)
    except yaml.YAMLError as error:
        problem = str(error).splitlines()[0]
        raise InputError(
            f"value of {name}", expected="YAML", got=f"{text!r} ({problem})", cure="quote the value"
        ) from error
    if isinstance(value, str) and EXPONENT.fullmatch(value):
        return float(value)
    return value


def _next(rest: Any) -> list[str]:
    word = next(rest, None)
    return [] if word is None else [word]
