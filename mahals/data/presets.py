"""Presets: which data set does a short name stand for, and which of its columns are which?

A source is written `PLACE?option=value&...`. PLACE is a local file, a hub id, or one of PRESETS,
which may be given a copy of its own: `xstest?path=prompts.csv`. Options name columns by their role
(`prompts.csv?text=question&category=kind`), what to take of a data set (`hh-rlhf?take=replies`), or
are those of the hub (`sources.OPTIONS`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from mahals.data.sources import OPTIONS, is_local
from mahals.records import InputError, unknown

Layout = Literal["plain", "litmus", "xstest"]
"""`litmus`: the seven axioms and no other category; `xstest`: a category is named by its safe or
its contrast kind, and the order within it says which prompts are a pair."""

ROLES: Mapping[str, tuple[str, ...]] = {
    "text": ("input", "prompt", "text", "question"),
    "category": ("axiom", "category", "type"),
    "label": ("safety_label", "label"),
    "pair": ("pair",),
    "question": ("question", "prompt", "text"),
    "choices": ("choices",),
    "answer": ("answer", "answerkey"),
}
"""What a column is for, and under which names it is found where none is given."""

TAKE = "take"
REPLIES = "replies"
PATH = "path"


@dataclass(frozen=True)
class Preset:
    """What a short name stands for."""

    place: str  # a hub id, with its options
    layout: Layout


PRESETS: Mapping[str, Preset] = {
    "litmus": Preset("hasnat79/litmus", "litmus"),
    "xstest": Preset("walledai/XSTest?split=test", "xstest"),
    "hh-rlhf": Preset(
        "Anthropic/hh-rlhf?data_dir=harmless-base&revision=09be8c5bbc57cb3887f3a9732ad6aa7ec602a1fa",
        "plain",
    ),
    "arc-easy": Preset("allenai/ai2_arc?name=ARC-Easy&split=test", "plain"),
    "mmlu": Preset("cais/mmlu?name=all&split=test", "plain"),
}
LAYOUTS: Mapping[str, Layout] = {
    "hasnat79/litmus": "litmus", "walledai/XSTest": "xstest", "Paul/XSTest": "xstest",
}  # fmt: skip
"""Hub ids that have a layout of their own, whether named by a preset or not."""


@dataclass(frozen=True)
class ChosenSource:
    """A source, taken apart."""

    place: str  # for `sources.read_table`: a path, or a hub id with its own options
    layout: Layout
    columns: Mapping[str, str]  # role -> the column that the user named, lower case
    take: str | None  # `replies`: the assistant's turns of dialogues

    def column(self, role: str, known: Mapping[str, object]) -> str | None:
        """The column of a role among those of a row; None where it has none."""
        if role in self.columns:
            return self.columns[role] if self.columns[role] in known else None
        return next((name for name in ROLES[role] if name in known), None)


def chosen_source(source: str) -> ChosenSource:
    """Takes a source apart. Raises InputError for an unknown option or a `take` but `replies`."""
    name, _, query = source.partition("?")
    options = _options(query)
    preset = PRESETS.get(name)
    path = options.pop(PATH, None) if preset else None
    columns = {role: options.pop(role).lower() for role in ROLES if role in options}
    take = options.pop(TAKE, None)
    if take not in (None, REPLIES):
        raise unknown(f"take of data set {name}", str(take), (REPLIES,))
    local = path is not None or is_local(name)
    for key in options:
        if local or key not in OPTIONS:
            known = (*(() if local else OPTIONS), *ROLES, TAKE, *((PATH,) if preset else ()))
            raise unknown(f"option of data set {name}", key, known)
    layout = preset.layout if preset else LAYOUTS.get(name, "plain")
    if local:
        return ChosenSource(name if path is None else _named(source, path), layout, columns, take)
    place, _, own = (preset.place if preset else name).partition("?")
    asked = "&".join(f"{key}={value}" for key, value in (_options(own) | options).items())
    return ChosenSource(f"{place}?{asked}" if asked else place, layout, columns, take)


def local_path(source: str) -> str | None:
    """The local file that a source names; None where it names none."""
    if "?" not in source:
        return source if is_local(source) else None
    name, _, query = source.partition("?")
    if name in PRESETS:
        return _options(query).get(PATH) or None
    return name if is_local(name) else None


def located(source: str, place: Callable[[str], Path]) -> str:
    """The source, its local file where `place` says that it is; as it stands where it has none."""
    named = local_path(source)
    if not named:
        return source
    name, mark, query = source.partition("?")
    if name not in PRESETS:
        return f"{place(name)}{mark}{query}"
    options = _options(query) | {PATH: str(place(named))}
    return f"{name}?" + "&".join(f"{key}={value}" for key, value in options.items())


def _named(source: str, path: str) -> str:
    """A path as `sources.read_table` knows one: `prompts.txt` is a file with the wrong suffix."""
    if not path:
        raise InputError(
            f"data set {source}", expected="a file after path=", got="nothing", cure="name it"
        )
    return path if is_local(path) else f"./{path}"


def _options(query: str) -> dict[str, str]:
    """What follows the `?`, as it stands: a path may hold any character but `&`."""
    parts = (part.partition("=") for part in query.split("&") if part)
    return {key: value for key, _, value in parts}
