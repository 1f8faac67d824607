"""Data-set loaders: how do rows of a known layout become pairs and neutral texts?

Pairs have the columns `chosen, rejected` (two dialogues, or answers beside a column `prompt`);
neutral text `text`, or it is the assistant's turns of such dialogues (`?take=replies`). Other
columns are ignored. Prompts are read by `prompt_loader`, questions by `question_loader`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from mahals.data.dialogues import Parted, part, turns
from mahals.data.presets import REPLIES, ROLES, ChosenSource, chosen_source
from mahals.data.sources import SourceLine, SourceTable, read_table
from mahals.data.splits import Shares, deal, joined_units, split_key
from mahals.data.texts import NeutralText, Pair
from mahals.records import InputError

T = TypeVar("T")

REPLY_WORDS = 8  # shorter replies are no text to read perplexity on


@dataclass(frozen=True)
class LoadedTexts(Generic[T]):
    """The usable texts of a data set, and how many of its rows were set aside and why."""

    origin: str
    licence: str
    rows: int  # in the source
    items: tuple[T, ...]  # each with its split; not yet sampled
    left_out: Mapping[str, int]  # reason -> rows


def load_pairs(source: str, shares: Shares) -> LoadedTexts[Pair]:
    """The pairs of a data set with the columns chosen and rejected, in the order of the source.

    The two are dialogues in `\\n\\nHuman:` / `\\n\\nAssistant:` form, split where the answers begin
    (see `dialogues.part`); the split key is the first user turn. With a column `prompt` they are
    answers. Answers may be empty: the pair still holds which one was preferred. Raises InputError
    for a source that cannot be read (see `sources.read_table`), a missing column, and for a pair
    that does not differ or is no dialogue, by its line.
    """
    table = read_table(chosen_source(source).place)
    parted = _all_parted(source, table)
    unique = dict.fromkeys((split_key(p.opening), p.prompt, p.chosen, p.rejected) for p in parted)
    splits = _dealt_openings(parted, shares)
    items = tuple(Pair(p, c, r, None, None, key, splits[key]) for key, p, c, r in unique)
    return loaded(table, items, {"copy of another row": len(parted) - len(items)})


def load_neutral(source: str, shares: Shares) -> LoadedTexts[NeutralText]:
    """The texts of a data set with the column text; blank rows and wiki headings are left out.

    With `?take=replies` the assistant's turns of the chosen dialogues of preference pairs, of
    REPLY_WORDS words or more: in the split in which `load_pairs` puts their pair. Raises InputError
    as `load_pairs` does.
    """
    chosen = chosen_source(source)
    table = read_table(chosen.place)
    if chosen.take == REPLIES:
        return _replies(source, table, shares)
    name = chosen.columns.get("text", "text")
    need_columns(source, table, (name,))
    texts = [text_of(source, line, name, may_be_blank=True) for line in table.lines]
    prose = [text for text in texts if text and not re.fullmatch(r"=.*=", text)]
    unique: dict[str, str] = {}
    for text in prose:
        put(unique, split_key(text), text)
    splits = deal(dict.fromkeys(unique, ()), shares)
    items = tuple(NeutralText(text, splits[key]) for key, text in unique.items())
    left_out = {
        "blank or a heading": len(texts) - len(prose),
        "copy of another row": len(prose) - len(items),
    }
    return loaded(table, items, left_out)


def _replies(source: str, table: SourceTable, shares: Shares) -> LoadedTexts[NeutralText]:
    parted = _all_parted(source, table)
    splits = _dealt_openings(parted, shares)
    found: dict[str, NeutralText] = {}
    for one in parted:
        for text in _said(one):
            put(found, split_key(text), NeutralText(text, splits[split_key(one.opening)]))
    return loaded(table, tuple(found.values()), {})


def _said(one: Parted) -> list[str]:
    """The assistant's turns of the chosen dialogue that are long enough to be a text."""
    before = [turn.text for turn in turns(one.prompt) if turn.role == "Assistant"]
    after = turns(f"\n\nAssistant: {one.chosen}")
    every = before + [turn.text for turn in after if turn.role == "Assistant"]
    return [text for text in every if len(text.split()) >= REPLY_WORDS]


def _all_parted(source: str, table: SourceTable) -> list[Parted]:
    need_columns(source, table, ("chosen", "rejected"))
    return [_parted(source, line) for line in table.lines]


def _dealt_openings(parted: Sequence[Parted], shares: Shares) -> dict[str, str]:
    """The split of each opening, which all pairs and replies that begin with it share.

    Pairs in which the same reply is said are one unit too: no text of one split is in another.
    """
    openings = [split_key(one.opening) for one in parted]
    marks = [
        (opening, *(f"\0{split_key(text)}" for text in _said(one)))
        for opening, one in zip(openings, parted, strict=True)
    ]
    units = joined_units(marks)
    splits = deal(dict.fromkeys(units, ()), shares)
    return {opening: splits[unit] for opening, unit in zip(openings, units, strict=True)}


def put(found: dict[Any, T], key: Any, item: T) -> None:
    """Of the copies under one key the one that sorts first stays, in whatever order they come."""
    if key not in found or repr(item) < repr(found[key]):
        found[key] = item


def loaded(table: SourceTable, items: tuple[T, ...], left_out: Mapping[str, int]) -> LoadedTexts[T]:
    """What was read of a table; reasons that left nothing out are dropped."""
    counted = {reason: n for reason, n in left_out.items() if n}
    return LoadedTexts(table.origin, table.licence, len(table.lines), items, counted)


def need_columns(source: str, table: SourceTable, names: Sequence[str]) -> None:
    """Raises InputError, by its line, for a row without one of the columns."""
    for line in table.lines:
        missing = [n for n in names if n not in line.values]
        if missing:
            raise InputError(
                f"{source}, {line.where}",
                expected="the columns " + ", ".join(names),
                got=", ".join(map(str, line.values)) or "none",
                cure=f"name the columns {', '.join(missing)}, or name another data set",
            )


def column_of(source: str, chosen: ChosenSource, line: SourceLine, role: str) -> str:
    """The column of a role. Raises InputError, by the line, where there is none."""
    found = chosen.column(role, line.values)
    if found is None:
        named = (chosen.columns[role],) if role in chosen.columns else ROLES[role]
        raise InputError(
            f"{source}, {line.where}",
            expected=f"a column for the {role}, {' or '.join(named)}",
            got=", ".join(map(str, line.values)) or "none",
            cure=f"name it after the data set: ?{role}=COLUMN",
        )
    return found


def refused(source: str, line: SourceLine, expected: str, got: Any, cure: str) -> InputError:
    """The error for a row that cannot be used, by its line."""
    shown = repr(got) if len(repr(got)) <= 60 else repr(got)[:57] + "..."
    return InputError(f"{source}, {line.where}", expected=expected, got=shown, cure=cure)


def text_of(source: str, line: SourceLine, column: str, may_be_blank: bool) -> str:
    """The stripped text in a column. Raises InputError for none, or no text."""
    value = line.values[column]
    if value is None and may_be_blank:
        return ""
    if not isinstance(value, str) or not (may_be_blank or value.strip()):
        cure = "correct or remove that row"
        raise refused(source, line, f"a text in column {column}", value, cure)
    return value.strip()


def _parted(source: str, line: SourceLine) -> Parted:
    chosen = text_of(source, line, "chosen", may_be_blank=True)
    rejected = text_of(source, line, "rejected", may_be_blank=True)
    if "prompt" in line.values:
        prompt = text_of(source, line, "prompt", may_be_blank=False)
        parted = Parted(prompt, prompt, chosen, rejected) if chosen != rejected else None
    else:
        parted = part(chosen, rejected)
    if parted is None:
        expected = "two dialogues (Human: ... Assistant: ...) with one opening and unlike answers"
        cure = "correct or remove that row, or give the request in a column prompt"
        raise refused(source, line, expected, chosen, cure)
    return parted
