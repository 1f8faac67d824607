"""Question loader: how do rows of a data set become harmless questions with choices?

Columns: `question` (or `prompt`), `choices`, `answer` (or `answerKey`). Choices are a list, a list
written as JSON or with `|` between them, or the hub's `{"text": [...], "label": [...]}`. The answer
is the text of a choice, its label, its letter (A is the first), or its number, counted from 0.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from mahals.data.loaders import LoadedTexts, column_of, loaded, refused, text_of
from mahals.data.own_questions import own_questions
from mahals.data.presets import ChosenSource, chosen_source
from mahals.data.sources import SourceLine, read_table
from mahals.data.splits import Shares, deal, split_key
from mahals.data.texts import TaskItem

OWN = "own"
LETTERS = "ABCDEFGHIJ"


@dataclass(frozen=True)
class _Choices:
    """What a question can be answered with."""

    texts: tuple[str, ...]
    labels: tuple[str, ...]  # what the data set calls each of them; empty: it does not


def load_questions(source: str, shares: Shares) -> LoadedTexts[TaskItem]:
    """The questions of a data set, or this project's own; copies of a question are left out.

    Raises InputError for a source that cannot be read (see `sources.read_table`), a missing column,
    and by its line for fewer than two choices, equal ones, or an answer that is none of them.
    """
    if source == OWN:
        items = [TaskItem(q, c, a, split_key(q), "") for q, c, a in own_questions()]
        licence = "that of this project (its sentences are written here)"
        return LoadedTexts("own questions", licence, len(items), _dealt(items, shares), {})
    chosen = chosen_source(source)
    table = read_table(chosen.place)
    read = [_question(source, chosen, line) for line in table.lines]
    unique: dict[str, TaskItem] = {}
    for item in read:
        unique.setdefault(item.key, item)
    items = sorted(unique.values(), key=lambda item: item.key)
    return loaded(table, _dealt(items, shares), {"copy of another row": len(read) - len(items)})


def _dealt(items: Sequence[TaskItem], shares: Shares) -> tuple[TaskItem, ...]:
    """Of each place of the right answer its share in every split."""
    splits = deal({item.key: (item.answer,) for item in items}, shares)
    return tuple(TaskItem(i.prompt, i.choices, i.answer, i.key, splits[i.key]) for i in items)


def _question(source: str, chosen: ChosenSource, line: SourceLine) -> TaskItem:
    text = text_of(source, line, column_of(source, chosen, line, "question"), may_be_blank=False)
    given = line.values[column_of(source, chosen, line, "choices")]
    choices = _choices(given)
    if choices is None or len(choices.texts) < 2 or len(set(choices.texts)) < len(choices.texts):
        expected = "two different choices or more, as a list or with | between them"
        raise refused(source, line, expected, given, "correct its choices")
    said = line.values[column_of(source, chosen, line, "answer")]
    place = _answer(said, choices)
    if place is None:
        expected = "an answer that is a choice, its label, its letter or its number from 0"
        raise refused(source, line, expected, said, "correct its answer")
    return TaskItem(text, choices.texts, place, split_key(text), "")


def _choices(given: Any) -> _Choices | None:
    """The choices that a value says; None where it says none."""
    if isinstance(given, str):
        try:
            given = json.loads(given) if given.lstrip().startswith(("[", "{")) else given.split("|")
        except json.JSONDecodeError:
            return None
    labels: Any = ()
    if isinstance(given, Mapping):
        given, labels = given.get("text"), given.get("label", ())
    if isinstance(given, str) or not isinstance(given, Sequence):
        return None
    texts = tuple(str(choice).strip() for choice in given)
    return _Choices(texts, tuple(map(str, labels))) if all(texts) else None


def _answer(said: Any, choices: _Choices) -> int | None:
    """The place of the right choice; None where `said` is none of them."""
    word = str(said).strip()
    if not isinstance(said, int):
        for names in (choices.texts, choices.labels, tuple(LETTERS[: len(choices.texts)])):
            if word in names:
                return names.index(word)
    place = int(word) if word.isdecimal() else -1
    return place if 0 <= place < len(choices.texts) else None
