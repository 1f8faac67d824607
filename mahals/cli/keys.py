"""Keys of params.yaml: which can be typed for a phase, with which type, value and meaning?"""

from __future__ import annotations

import dataclasses
import difflib
import types
import typing
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Literal, Union

from mahals.cli.comments import KeyPath, field_comments, key_comments
from mahals.phase import SHARED_SECTIONS
from mahals.records import Among, AtLeast, InputError, Matches, OneOf

if TYPE_CHECKING:
    from argparse import ArgumentParser

    from mahals.harness.workspace.paths import Workspace
    from mahals.harness.workspace.settings import Settings

SCALARS = {
    int: "whole number",
    float: "number",
    str: "text",
    bool: "true | false",
    type(None): "null",
}


@dataclass(frozen=True)
class TypedKey:
    """What can be typed as `--<name> <value>`; `kind`: its type in words."""

    name: str
    kind: str
    value: Any
    meaning: str


@dataclass(frozen=True)
class KeySection:
    """Keys that stand together, as in params.yaml."""

    name: str
    meaning: str
    keys: tuple[TypedKey, ...]


def describe(parser: ArgumentParser, sections: Collection[KeySection]) -> None:
    """Adds keys to the help of a parser, which does not read them: `overrides.split` does."""
    for section in sections:
        meaning = section.meaning.replace("%", "%%")
        group = parser.add_argument_group(section.name, meaning or None)
        for key in section.keys:
            kind = "" if key.meaning.startswith(key.kind) else f"{key.kind}, "
            facts = f"{kind}now {as_yaml(key.value)}"
            text = f"{key.meaning} ({facts})" if key.meaning else facts
            group.add_argument(f"--{key.name}", action="store_true", help=text.replace("%", "%%"))


def sections_of(
    workspace: Workspace, settings: Settings, name: str, taken: Collection[str]
) -> list[KeySection]:
    """The keys of a phase, of the shared sections it reads, and of every run, with their values.

    A key of the phase is typed without the phase's name, but for one that is named like a
    top-level key or like one of `taken`, the options of the command line.
    """
    from mahals.harness.workspace.run_keys import RunKeys

    phase, values = workspace.phase(name), settings.values
    meanings = key_comments(workspace.params_file.read_text(encoding="utf-8"))
    hints, dotted = typing.get_type_hints(phase.params), {*taken, *values}
    own = list(_walk(phase.params, values[name] or {}, (name,), meanings))
    bare = {f"{name}.{f.name}": f.name for f in dataclasses.fields(phase.params)}
    keys = (
        key if bare[key.name] in dotted else dataclasses.replace(key, name=bare[key.name])
        for key in own[0].keys
    )
    own[0] = dataclasses.replace(own[0], keys=tuple(keys))
    shared = (_walk(hints[each], values[each], (each,), meanings) for each in phase.shared)
    (run,) = _walk(RunKeys, values, (), meanings)
    return [*own, *(section for walk in shared for section in walk), run]


def _walk(
    kind: type[Any], values: Mapping[str, Any], path: KeyPath, meanings: Mapping[KeyPath, str]
) -> Iterator[KeySection]:
    """The section of a dataclass, then those of the dataclasses in it; keys dotted from the top.

    What the source says behind a field goes before what params.yaml says behind its key.
    """
    hints, comments = typing.get_type_hints(kind, include_extras=True), field_comments(kind)
    keys, below = [], []
    for name in (f.name for f in dataclasses.fields(kind) if f.name in values):
        hint, value, own = hints[name], values[name], (*path, name)
        meaning = comments.get(name) or meanings.get(own, "")
        inner = _section_type(hint)
        if inner is None:
            keys.append(TypedKey(".".join(own), in_words(hint), value, meaning))
            continue
        parts = {own: value} if inner is hint else {(*own, k): v for k, v in value.items()}
        for at, part in parts.items():
            first, *rest = _walk(inner, part, at, meanings)
            below += [dataclasses.replace(first, meaning=meaning), *rest]
    yield KeySection(".".join(path) or "every run", meanings.get(path, ""), tuple(keys))
    yield from below


def _section_type(hint: Any) -> Any:
    """The dataclass of a hint that is one, or a mapping to one; None for what is a value."""
    if dataclasses.is_dataclass(hint):
        return hint
    origin = typing.get_origin(hint)
    if isinstance(origin, type) and issubclass(origin, Mapping):
        return _section_type(typing.get_args(hint)[1])
    return None


def in_words(hint: Any) -> str:
    """A type: "number", "a | b", "[whole number, ...]", "{name: text}"."""
    origin, inner = typing.get_origin(hint), typing.get_args(hint)
    if origin is Annotated:
        return _ruled(in_words(inner[0]), inner[1:])
    if origin is Literal:
        return " | ".join(map(str, inner))
    if origin in (Union, types.UnionType):
        return " | ".join(map(in_words, inner))
    if isinstance(origin, type) and issubclass(origin, Mapping):
        return f"{{name: {in_words(inner[1])}}}"
    if origin in (tuple, list):
        several = len(inner) == 1 or inner[1] is Ellipsis
        return f"[{in_words(inner[0])}, ...]" if several else f"[{', '.join(map(in_words, inner))}]"
    return SCALARS.get(hint, getattr(hint, "__name__", str(hint)))


def _ruled(words: str, rules: Sequence[Any]) -> str:
    """A type in words with the rules that records checks: a table's names, a least number."""
    for rule in rules:
        if isinstance(rule, OneOf):
            words = " | ".join(rule.table)
        elif isinstance(rule, Matches):
            words = rule.words
        elif isinstance(rule, AtLeast) and words in SCALARS.values():
            words = f"{words} from {rule.least}"
        elif isinstance(rule, Among):
            words = " | ".join((*rule.words, f"one of {rule.key}"))
    return words


def as_yaml(value: Any) -> str:
    """A value as it can be typed, on one line."""
    import yaml

    text: str = yaml.safe_dump(
        value, default_flow_style=True, width=float("inf"), sort_keys=False, allow_unicode=True
    )
    return text.removesuffix("\n").removesuffix("\n...")


def refuse_unknown(
    typed: Collection[str], values: Mapping[str, Any], phase: str | None, taken: Collection[str]
) -> None:
    """Raises InputError for the first of the typed keys that params.yaml (`values`) does not hold.

    The nearest key stands first, of those of the phase, of the shared sections and of every run;
    where the key names another section, of that section. `taken` as in `sections_of`.
    """
    for name in typed:
        if not _is_known(name, values, phase):
            raise _unknown(name, values, phase, {*taken, *values})


def _is_known(name: str, values: Mapping[str, Any], phase: str | None) -> bool:
    homes = [values, *(values.get(home) for home in (phase, *SHARED_SECTIONS) if home)]
    if "." not in name:
        return any(isinstance(home, Mapping) and name in home for home in homes)
    at: Any = values
    for part in name.split("."):
        if not isinstance(at, Mapping) or part not in at:
            return False
        at = at[part]
    return True


def _unknown(
    name: str, values: Mapping[str, Any], phase: str | None, dotted: Collection[str]
) -> InputError:
    root, *rest = name.split(".")
    usual = [home for home in (phase, *SHARED_SECTIONS) if home]
    homes = [root] if rest and root in values else usual
    listed: list[str] = []
    ways: dict[str, str] = {}  # what may have been meant, and how that is typed
    for path in (path for home in homes for path in _paths(values.get(home), (home,))):
        bare = len(path) == 2 and path[0] == phase and path[1] not in dotted
        shown = path[1] if bare else ".".join(path)
        listed += [shown] if len(path) == 2 else []
        ways |= {".".join(path[at:]): shown for at in range(len(path))}
    listed += [key for key, value in values.items() if not isinstance(value, Mapping)]
    ways |= {each: each for each in listed}
    near = [ways[each] for each in difflib.get_close_matches(name, ways, n=1)]
    return InputError(
        (f"did you mean {near[0]!r}? " if near else "") + f"unknown key {name!r}",
        expected="one of " + ", ".join(listed),
        got=repr(name),
        cure=f"`mahals run {phase or 'PHASE'} --help` says what each is",
    )


def _paths(value: Any, path: KeyPath) -> Iterator[KeyPath]:
    """The paths of all keys in a section, and in those in it."""
    if isinstance(value, Mapping):
        for key, inner in value.items():
            yield (*path, str(key))
            yield from _paths(inner, (*path, str(key)))
