"""Records: how do typed values become plain data and back, with nothing unknown let through?

Decoding is strict: unknown and missing keys are refused by name, a value of the wrong type is
refused with its path. Only the standard library is used, so that every band can import this.
"""

from __future__ import annotations

import dataclasses
import difflib
import functools
import hashlib
import json
import math
import re
import types
import typing
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Annotated, Any, Literal, TypeVar, Union

Plain = None | bool | int | float | str | list[Any] | dict[str, Any]
T = TypeVar("T")


class InputError(ValueError):
    """What a user gave cannot be used; the message holds the expected, the got and the cure."""

    def __init__(self, what: str, *, expected: str, got: str, cure: str) -> None:
        super().__init__(f"{what}: expected {expected}, got {got}; {cure}")
        self.what, self.expected, self.got, self.cure = what, expected, got, cure


@dataclasses.dataclass(frozen=True, eq=False)
class OneOf:
    """`Annotated[str, OneOf(TABLE)]`: a name in a table, as the table is when the name is read."""

    table: Mapping[str, Any]

    def check(self, value: Any, where: str) -> None:
        """Raises InputError, with the names that there are, for another one."""
        if value not in self.table:
            raise unknown(where, str(value), self.table)


@dataclasses.dataclass(frozen=True)
class AtLeast:
    """`Annotated[int, AtLeast(2)]`: a number of 2 or more; of a list, its length."""

    least: int

    def check(self, value: Any, where: str) -> None:
        """Raises InputError for less."""
        many = isinstance(value, Sequence)
        if (len(value) if many else value) < self.least:
            raise InputError(
                where,
                expected=f"{self.least} or more" + many * " in a list",
                got=str(list(value) if many else value),
                cure=f"correct {where}",
            )


@dataclasses.dataclass(frozen=True)
class Matches:
    """`Annotated[str, Matches("all|from:\\d+", "all | from:n")]`: a text of one of these forms."""

    pattern: str
    words: str

    def check(self, value: Any, where: str) -> None:
        """Raises InputError for another text."""
        if not re.fullmatch(self.pattern, value):
            raise InputError(where, expected=self.words, got=repr(value), cure="choose one of them")


Count = Annotated[int, AtLeast(0)]
Positive = Annotated[int, AtLeast(1)]
Several = Annotated[int, AtLeast(2)]


@dataclasses.dataclass(frozen=True)
class Among:
    """`Annotated[str, Among("section.key", ("all",))]`: one of what another key lists, or `all`.

    What other keys hold is not known while one section is decoded: see `references`.
    """

    key: str  # dotted, or a top-level one
    words: tuple[str, ...] = ()


def references(value: Any, where: str) -> Iterator[tuple[str, Among, str]]:
    """(place, rule, name) of each field of a dataclass, and of those in it, that is Among."""
    of: Any = type(value)
    for name, kind in _hints(of).items():
        own, place = getattr(value, name), f"{where}.{name}"
        if dataclasses.is_dataclass(own):
            yield from references(own, place)
        for rule in getattr(kind, "__metadata__", ()):
            if isinstance(rule, Among):
                yield place, rule, own


def to_plain(value: Any) -> Plain:
    """`value` as JSON-able data: dataclasses become dicts, tuples lists.

    Raises InputError for a float that is not finite (an unknown number is absent, never nan)
    and TypeError for a type that has no plain form.
    """
    if value is None or isinstance(value, (bool, int, str)):
        return value
    if isinstance(value, float):
        if not math.isfinite(value):
            raise InputError(
                "value",
                expected="a finite number",
                got=str(value),
                cure="leave the cell absent and give the reason",
            )
        return value
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {f.name: to_plain(getattr(value, f.name)) for f in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return {str(k): to_plain(v) for k, v in value.items()}
    if isinstance(value, (set, frozenset)):
        return [to_plain(v) for v in sorted(value)]
    if isinstance(value, Sequence):
        return [to_plain(v) for v in value]
    if hasattr(value, "item") and getattr(value, "ndim", None) == 0:  # numpy and torch scalars
        return to_plain(value.item())
    raise TypeError(f"no plain form for {type(value).__name__}")


def canonical(value: Any) -> str:
    """One line of JSON for `value`: sorted keys, no spaces, the same on every machine."""
    return json.dumps(to_plain(value), sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def digest(value: Any) -> str:
    """SHA-256 of `canonical(value)`, 64 hexadecimal digits."""
    return hashlib.sha256(canonical(value).encode()).hexdigest()


def seed_of(*parts: Any) -> int:
    """A seed in [0, 2**63) that depends only on what `parts` say, not on order of work."""
    return int(digest(list(parts))[:16], 16) >> 1


def unknown(what: str, got: str, known: Iterable[str], cure: str = "") -> InputError:
    """The error for a name that is not among `known`, the nearest known name first."""
    names = sorted(known)
    near = difflib.get_close_matches(got, names, n=1)
    return InputError(
        (f"did you mean {near[0]!r}? " if near else "") + f"unknown {what}",
        expected="one of " + ", ".join(names),
        got=repr(got),
        cure=cure or "choose one of them",
    )


def from_plain(cls: type[T], data: Any, where: str = "") -> T:
    """Plain `data` as an instance of `cls`, checked all the way down.

    `where` names the place in messages ("same_arch.lambdas"). Raises InputError on an unknown
    key, a missing key or a value of another type.
    """
    return typing.cast(T, _decode(cls, data, where or getattr(cls, "__name__", str(cls))))


def _wrong(where: str, expected: str, got: Any) -> InputError:
    return InputError(
        where, expected=expected, got=f"{got!r} ({type(got).__name__})", cure=f"correct {where}"
    )


def _decode(kind: Any, data: Any, where: str) -> Any:
    if kind is Any:
        return data
    origin = typing.get_origin(kind)
    if origin in (Union, types.UnionType):
        return _decode_union(typing.get_args(kind), data, where)
    if origin is Annotated:
        base, *rules = typing.get_args(kind)
        value = _decode(base, data, where)
        for rule in rules:
            if isinstance(rule, (OneOf, AtLeast, Matches)):
                rule.check(value, where)
        return value
    if origin is Literal:
        if data not in typing.get_args(kind):
            options = ", ".join(map(str, typing.get_args(kind)))
            raise _wrong(where, f"one of {options}", data)
        return data
    if dataclasses.is_dataclass(kind):
        return _decode_dataclass(kind, data, where)
    if origin is not None:
        return _decode_container(origin, typing.get_args(kind), data, where)
    return _decode_scalar(kind, data, where)


def _decode_union(options: Sequence[Any], data: Any, where: str) -> Any:
    if data is None and type(None) in options:
        return None
    errors = []
    for option in options:
        if option is type(None):
            continue
        try:
            return _decode(option, data, where)
        except InputError as error:
            errors.append(error)
    if len(errors) == 1:
        raise errors[0]
    raise _wrong(where, " or ".join(error.expected for error in errors), data)


@functools.cache
def _hints(kind: Any) -> dict[str, Any]:
    return typing.get_type_hints(kind, include_extras=True)


def _decode_dataclass(kind: Any, data: Any, where: str) -> Any:
    if not isinstance(data, Mapping):
        raise _wrong(where, f"a mapping with the keys of {kind.__name__}", data)
    hints = _hints(kind)
    names = [f.name for f in dataclasses.fields(kind)]
    for key in data:
        if key not in names:
            raise unknown(f"key in {where}", str(key), names)
    optional = {
        f.name
        for f in dataclasses.fields(kind)
        if f.default is not dataclasses.MISSING or f.default_factory is not dataclasses.MISSING
    }
    missing = [n for n in names if n not in data and n not in optional]
    if missing:
        raise InputError(
            where,
            expected="the keys " + ", ".join(names),
            got="none for " + ", ".join(missing),
            cure=f"add {', '.join(missing)} to {where}",
        )
    return kind(**{n: _decode(hints[n], data[n], f"{where}.{n}") for n in names if n in data})


def _decode_container(origin: Any, args: Sequence[Any], data: Any, where: str) -> Any:
    if issubclass(origin, Mapping):
        if not isinstance(data, Mapping):
            raise _wrong(where, "a mapping", data)
        return {k: _decode(args[1], v, f"{where}.{k}") for k, v in data.items()}
    if isinstance(data, (str, bytes, Mapping)) or not isinstance(data, Sequence):
        raise _wrong(where, "a list", data)
    if origin is tuple and not (len(args) == 2 and args[1] is Ellipsis):
        if len(data) != len(args):
            raise _wrong(where, f"a list of {len(args)}", data)
        pairs = zip(args, data, strict=True)
        return tuple(_decode(a, v, f"{where}[{i}]") for i, (a, v) in enumerate(pairs))
    items = [_decode(args[0], v, f"{where}[{i}]") for i, v in enumerate(data)]
    return tuple(items) if origin is tuple else items


def _decode_scalar(kind: Any, data: Any, where: str) -> Any:
    if kind is float and isinstance(data, (int, float)) and not isinstance(data, bool):
        if not math.isfinite(data):
            raise _wrong(where, "a finite number", data)
        return float(data)
    if kind is type(None) and data is None:
        return None
    if isinstance(data, kind) and not (kind is int and isinstance(data, bool)):
        return data
    names = {int: "a whole number", float: "a number", str: "a text", bool: "true or false"}
    raise _wrong(where, names.get(kind, kind.__name__), data)
