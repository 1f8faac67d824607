"""Text files: how are the study's texts written as JSON lines with a card, and read back?"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from mahals.records import InputError, canonical, from_plain

T = TypeVar("T")


@dataclass(frozen=True)
class Card:
    """What a reader should know about one file of texts."""

    title: str
    about: str  # one sentence
    file: str
    sha256: str
    origin: str
    licence: str
    seed: int  # of the sampling
    left_out: Mapping[str, int]  # reason -> rows of the source
    columns: tuple[str, ...]
    counts: tuple[tuple[str, ...], ...]  # first the header


def lines_text(records: Sequence[Any]) -> str:
    """One record a line, in their order, as JSON."""
    return "".join(_one_line(record) + "\n" for record in records)


def _one_line(record: Any) -> str:
    """The record in JSON, less the characters that some readers take for the end of a line."""
    return canonical(record).translate({0x85: "\\u0085", 0x2028: "\\u2028", 0x2029: "\\u2029"})


def read_lines(cls: type[T], path: Path) -> tuple[T, ...]:
    """The records of a file written from `lines_text`, typed.

    Raises InputError for a missing file, or by its line for one that is not a `cls`.
    """
    try:
        lines = path.read_text(encoding="utf-8").split("\n")
    except OSError as error:
        raise InputError(
            f"file {path.name}",
            expected="a file of texts",
            got=error.strerror or type(error).__name__,
            cure="run `mahals run datasets`",
        ) from error
    return tuple(
        _record(cls, f"{path.name}, line {n}", line) for n, line in enumerate(lines, 1) if line
    )


def _record(cls: type[T], where: str, line: str) -> T:
    try:
        data = json.loads(line)
    except json.JSONDecodeError as error:
        raise InputError(
            where, expected="JSON", got=error.msg, cure="run `mahals run datasets` again"
        ) from error
    return from_plain(cls, data, where)


def card_text(card: Card) -> str:
    """The card as Markdown."""
    left_out = [f"- Left out: {n} rows ({why})." for why, n in sorted(card.left_out.items())]
    header, *rows = card.counts
    table = [_table_row(header), _table_row(("---",) * len(header)), *map(_table_row, rows)]
    lines = [
        f"# {card.title}",
        "",
        card.about,
        "",
        f"- File: `{card.file}`, JSON lines with {', '.join(f'`{c}`' for c in card.columns)}.",
        f"- SHA-256: `{card.sha256}`",
        f"- Origin: {card.origin}",
        f"- Licence: {card.licence}",
        f"- Sampling seed: {card.seed}",
        *left_out,
        "",
        *table,
        "",
    ]
    return "\n".join(lines)


def _table_row(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cells) + " |"
