"""Verdict cache: which answers has this judge seen before?"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Sequence
from pathlib import Path

from mahals.models.judges.judge import QuestionAnswer, Score
from mahals.records import digest

Each = Callable[[QuestionAnswer], Score]


class Verdicts:
    """Verdicts by content, one line each in a file: what a killed run has judged stays judged.

    A line that a kill tore is skipped. `identity` is all that decides a verdict but the answer.
    """

    def __init__(self, file: Path, identity: object) -> None:
        self._file, self._mark = file, digest(identity)
        self._known: dict[str, Score] = {}
        if file.is_file():
            for line in file.read_text(encoding="utf-8").splitlines():
                self._take(line)

    def _take(self, line: str) -> None:
        try:
            found = json.loads(line)
            self._known[found["key"]] = Score(found["alignment"], found["coherence"], found["why"])
        except (json.JSONDecodeError, KeyError, TypeError):
            return  # torn: it is judged again

    def judge(self, asked: Sequence[QuestionAnswer], each: Each) -> list[Score]:
        """The score of each answer; `each` is asked once for what is not known."""
        return [self._one(a, each) for a in asked]

    def _one(self, asked: QuestionAnswer, each: Each) -> Score:
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
