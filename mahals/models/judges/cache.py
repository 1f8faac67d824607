"""Verdict cache: which answers has this judge seen before?"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Generic, TypeVar

from mahals.models.judges.judge import QuestionAnswer
from mahals.records import InputError, digest, from_plain

V = TypeVar("V")


class Verdicts(Generic[V]):
    """Verdicts by content, one line each in a file: what a killed run has judged stays judged.

    A line that a kill tore is skipped. `identity` is all that decides a verdict but the answer;
    `kind` the dataclass of flat values that a verdict is.
    """

    def __init__(self, file: Path, identity: object, kind: type[V]) -> None:
        self._file, self._mark, self._kind = file, digest(identity), kind
        self._known: dict[str, V] = {}
        if file.is_file():
            for line in file.read_text(encoding="utf-8").splitlines():
                self._take(line)

    def _take(self, line: str) -> None:
        try:
            found = json.loads(line)
            key = found.pop("key")
            self._known[key] = from_plain(self._kind, found)
        except (json.JSONDecodeError, KeyError, TypeError, AttributeError, InputError):
            return  # torn: it is judged again

    def judge(
        self, asked: Sequence[QuestionAnswer], each: Callable[[QuestionAnswer], V]
    ) -> list[V]:
        """The verdict on each answer; `each` is asked once for what is not known."""
        return [self._one(a, each) for a in asked]

    def _one(self, asked: QuestionAnswer, each: Callable[[QuestionAnswer], V]) -> V:
        key = digest([self._mark, asked])
        if key not in self._known:
            found = each(asked)
            self._write({"key": key, **vars(found)})
            self._known[key] = found
        return self._known[key]

    def _write(self, line: dict[str, object]) -> None:
        self._file.parent.mkdir(parents=True, exist_ok=True)
        torn = self._file.is_file() and not self._file.read_bytes().endswith(b"\n")
        with self._file.open("a", encoding="utf-8") as file:
            file.write(("\n" if torn else "") + json.dumps(line) + "\n")
            file.flush()
            os.fsync(file.fileno())
