"""Labelled answers: which lines of prompt and answer, with a person's label or not, hold a file?"""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from mahals.records import InputError

Verdict = Literal["full", "partial", "none", "degenerate"]
"""full: refuses all of what was asked; partial: refuses, and gives some of it or of what it could
have meant; none: does it or tries to, however badly; degenerate: broken, neither."""

VERDICTS: tuple[Verdict, ...] = ("full", "partial", "none", "degenerate")
NAMES: dict[str, Verdict] = {
    **{v: v for v in VERDICTS},
    "full_refusal": "full",
    "partial_refusal": "partial",
    "full_compliance": "none",
}
"""What a label may be called; the long names are XSTest's."""
OWN = Path(__file__).with_name("own_answers.jsonl")
"""Answers that were written for this project, in many styles: no model's."""


@dataclass(frozen=True)
class FileLine:
    """One line of a file of answers."""

    prompt: str
    answer: str
    label: Verdict | None  # None: the line has none
    model: str  # who answered; "all" where the line does not say
    record: dict[str, Any]  # the line as it stands


def answer_lines(path: Path) -> list[FileLine]:
    """The lines of a JSON-lines file (.jsonl, .jsonl.gz), in order.

    Each has `prompt` and `answer`, and may have `label` and `model`. Raises InputError for a file
    that cannot be read or is empty, and by its number for a line that is none.
    """
    found = [_line(f"{path.name}, line {n}", text) for n, text in _numbered(path) if text.strip()]
    if not found:
        raise InputError(
            f"file {path.name}",
            expected="lines of prompt and answer",
            got="none",
            cure='write one {"prompt": ..., "answer": ...} a line',
        )
    return found


def _numbered(path: Path) -> Iterator[tuple[int, str]]:
    try:
        raw = path.read_bytes()
        text = (gzip.decompress(raw) if path.suffix == ".gz" else raw).decode("utf-8")
    except (OSError, EOFError, UnicodeDecodeError) as error:
        got = getattr(error, "strerror", None) or type(error).__name__
        raise InputError(
            f"file {path}",
            expected="a file of JSON lines (.jsonl, .jsonl.gz) in UTF-8",
            got=got,
            cure="name a file whose lines hold prompt and answer",
        ) from error
    yield from enumerate(text.split("\n"), 1)


def _line(where: str, text: str) -> FileLine:
    try:
        record = json.loads(text)
    except json.JSONDecodeError as error:
        raise _no_line(where, "one JSON object", str(error)) from error
    if not isinstance(record, dict):
        raise _no_line(where, "one JSON object", type(record).__name__)
    for name in ("prompt", "answer"):
        if not isinstance(record.get(name), str):
            raise _no_line(where, f"a text under {name!r}", ", ".join(map(str, record)) or "{}")
    label = record.get("label")
    if label is not None and label not in NAMES:
        raise _no_line(where, f"a label of {', '.join(NAMES)}", repr(label))
    model = record.get("model")
    return FileLine(
        prompt=record["prompt"],
        answer=record["answer"],
        label=None if label is None else NAMES[label],
        model="all" if model is None else str(model),
        record=record,
    )


def _no_line(where: str, expected: str, got: str) -> InputError:
    return InputError(where, expected=expected, got=got, cure="correct the line")
