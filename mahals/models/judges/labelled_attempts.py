"""Labelled attempts: what does a judge find in a file of answers whose attempts are known?"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from mahals.data.composed import Planted
from mahals.data.labelled_file import _no_line, _numbered
from mahals.models.judges.attempts import Attempted, AttemptScorer, References
from mahals.models.judges.planted import PlantedAgreement, planted_agreement
from mahals.models.judges.restarts import segment
from mahals.records import AtLeast, from_plain


@dataclass(frozen=True)
class LabelledAttempts:
    """A line of the file; in the whole answer a blank line is between attempts."""

    prompt: str
    attempts: Annotated[tuple[str, ...], AtLeast(1)]

    @property
    def whole(self) -> Planted:
        """The answer, which is said to improve where it has more than one attempt."""
        text, second = "\n\n".join(self.attempts), len(self.attempts[0]) + 2
        if len(self.attempts) == 1:
            return Planted(self.prompt, text, (0,), "plain", None)
        return Planted(self.prompt, text, (0, second), "improves", True)


def labelled_attempts(path: Path) -> list[LabelledAttempts]:
    """The lines of a JSON-lines file. Raises InputError, by its number for a broken one."""
    numbered = [(f"{path.name}, line {n}", text) for n, text in _numbered(path) if text.strip()]
    if not numbered:
        raise _no_line(f"file {path.name}", "lines of prompt and attempts", "none")
    found = []
    for where, text in numbered:
        try:
            found.append(from_plain(LabelledAttempts, json.loads(text), where))
        except json.JSONDecodeError as error:
            raise _no_line(where, "JSON of prompt and attempts", str(error)) from error
    return found


def labelled_agreement(
    lines: Sequence[LabelledAttempts], scorer: AttemptScorer
) -> PlantedAgreement:
    """As of planted answers: the file's are these.

    Their first and last attempts stand beside alone, which must not be split; last ones are on
    topic. Raises InputError where the judge cannot know.
    """
    two = [x for x in lines if len(x.attempts) > 1]
    known = [x.whole for x in lines]
    known += [Planted(x.prompt, x.attempts[0], (0,), "silent", None) for x in two]
    known += [Planted(x.prompt, x.attempts[-1], (0,), "plain", None) for x in two]
    return planted_agreement(known, segment, scorer)


def by_halves(
    lines: Sequence[LabelledAttempts], judge: Callable[[References], AttemptScorer]
) -> AttemptScorer:
    """The judge, who scores each half of a prompt's lines by the last attempts of the other.

    So nothing is scored by its own line. A text of a prompt with a single line has no score.
    """
    turns = [sum(x.prompt == y.prompt for y in lines[:i]) % 2 for i, x in enumerate(lines)]

    def score(asked: Sequence[Attempted]) -> list[float | None]:
        found: dict[Attempted, float | None] = {}
        for half in (0, 1):
            own = [x for x, turn in zip(lines, turns, strict=True) if turn == half]
            known: dict[str, list[str]] = {}
            for x in (x for x in lines if x not in own):
                known.setdefault(x.prompt, []).append(x.attempts[-1])
            texts = {p: [x.whole.text for x in own if x.prompt == p] for p in known}
            mine = [a for a in asked if any(a.text in text for text in texts.get(a.prompt, ()))]
            found |= zip(mine, judge(known)(mine), strict=True)
        return [found.get(a) for a in asked]

    return score
