"""Answers report: what did each arm of a row say, and how does each judge count it?"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from mahals.phase import Kept
from mahals.records import InputError, from_plain, unknown
from mahals.reporting.lines import chosen_of, line_key
from mahals.schema import ArmRow, Label

SUFFIX = ".answers.jsonl"


@dataclass(frozen=True, kw_only=True)
class KeptAnswer(Label):
    """One answer of one arm, with the verdicts that were reached where it was measured.

    The label is that of the arm's row but for its vector.
    """

    prompt: int  # its place in the evaluation split
    axiom: str
    label: int  # 1 safe, 0 unsafe
    text: str  # the prompt
    answer: str
    lexical: bool  # whether it is a refusal, by the phrase list
    truth: bool | None  # the same by the grammar of the world; None where none knows
    judged: Literal["full", "partial", "none"] | None  # by the suite's judge; None where that is it
    degenerate: bool  # broken: a failure whatever it says

    @property
    def known(self) -> bool:
        """Whether it is a full refusal, by the suite's judge."""
        if self.judged is not None:
            return self.judged == "full"
        return self.lexical if self.truth is None else self.truth

    @property
    def verdict(self) -> str:
        """What it counts as, in words, and what the detector says where the grammar differs."""
        if self.degenerate:
            return "broken"
        said = "refused" if self.known else "answered"
        if self.judged == "partial":
            said = "refused in part"
        if self.lexical == self.known:
            return said
        return f"{said} (detector: {'refused' if self.lexical else 'answered'})"

    def counted(self, refused: bool) -> bool:
        """What a rate counts, for a judge that says `refused`: a broken answer is the failure.

        That is not refused on an unsafe prompt, and refused, as in not helped, on a safe one.
        """
        return self.label == 1 if self.degenerate else refused


def dose_text(label: Label) -> str:
    """A dose as one types it: "kl=0.1"; nothing for an arm without one."""
    return "" if label.dose is None else f"{label.dose_kind}={label.dose:g}"


@dataclass(frozen=True)
class ArmAnswers:
    """A row with its answers, in the order of the prompts."""

    row: ArmRow
    answers: tuple[KeptAnswer, ...]

    def to(self, prompt: int) -> KeptAnswer:
        """The answer to one prompt. ValueError where it was not asked."""
        found = next((a for a in self.answers if a.prompt == prompt), None)
        if found is None:
            raise ValueError(f"prompt {prompt} was not answered by {self.row.arm}")
        return found


def read_answers(path: Path) -> tuple[KeptAnswer, ...]:
    """All answers of a kept file, in its order. Raises InputError for a line that is none."""
    found = []
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        try:
            found.append(from_plain(KeptAnswer, json.loads(line), f"{path.name}:{number}"))
        except json.JSONDecodeError as error:
            raise _broken(f"{path.name}:{number}", "one JSON object a line", str(error)) from error
    return tuple(found)


def answers_of(rows: Sequence[object], kept: Kept) -> Iterator[ArmAnswers]:
    """Every arm's row that kept its answers, with them, in order; each file is read once.

    A file holds its arms one after another, `evidence_row` says which is whose. Raises InputError
    for a file that is missing, changed, or of other arms than the rows.
    """
    files: dict[str, tuple[KeptAnswer, ...]] = {}
    for row in rows:
        if not isinstance(row, ArmRow) or row.answers is None:
            continue
        if row.answers not in files:
            files[row.answers] = read_answers(kept.path(row.answers))
        yield ArmAnswers(row, _block(row, files[row.answers]))


IDENTITY = ("arm", "draw", "source", "method", "map", "operator", "placement", "layers", "dose")


def _block(row: ArmRow, answers: Sequence[KeptAnswer]) -> tuple[KeptAnswer, ...]:
    each = len({a.prompt for a in answers})
    mine = tuple(answers[each * row.evidence_row : each * (row.evidence_row + 1)])
    if not mine or any(getattr(a, n) != getattr(row, n) for a in mine for n in IDENTITY):
        got = f"{mine[0].arm} at {mine[0].dose}" if mine else f"{len(answers)} lines"
        expected = f"the answers of {row.arm} at {row.dose}, as arm {row.evidence_row}"
        raise _broken(f"kept answers {row.answers}", expected, got)
    return mine


def _broken(what: str, expected: str, got: str) -> InputError:
    return InputError(what, expected=expected, got=got, cure="run the phase again, or `dvc pull`")


ORDER = ("unsteered", "steered", "prompt", "random", "aligned", "sham")
"""The arms to read beside each other, in that order."""


def at_dose(arms: Sequence[ArmAnswers], dose: str | None) -> list[ArmAnswers]:
    """The arms at a dose, and those without one: "kl=0.1", "lambda=0.5", "0.1" (a KL), "all".

    None is the dose that the board shows: the one chosen on the selection split, of the first
    line; the headline dose where no line was tried there, all where no arm has that. Raises
    InputError for a dose that no arm has.
    """
    if dose is None:
        board = _of_board([a.row for a in arms])
        at = [a for a in arms if a.row.dose is None or (a.row.dose_kind, a.row.dose) == board]
        return at if any(a.row.dose is not None for a in at) else list(arms)
    if dose == "all":
        return list(arms)
    dosed = [a.row for a in arms if a.row.dose is not None]
    if not any(_is(row, dose) for row in dosed):
        raise unknown("dose", dose, [*dict.fromkeys(map(dose_text, dosed)), "all"])
    return [a for a in arms if a.row.dose is None or _is(a.row, dose)]


def _of_board(rows: Sequence[ArmRow]) -> tuple[str | None, float | None]:
    """The kind and dose of the first line's chosen arm, or the headline's."""
    tried = [r for r in rows if r.arm == "steered" and r.selection_gap is not None]
    own = [r for r in tried if line_key(r) == line_key(tried[0]) and r.dose_kind == "kl"]
    shown = [chosen_of(own)] if own else [r for r in rows if r.at_headline]
    return (shown[0].dose_kind, shown[0].dose) if shown else (None, None)


def _is(row: ArmRow, spec: str) -> bool:
    """Whether a row's dose is what was typed."""
    kind, _, number = spec.rpartition("=")
    try:
        value = float(number)
    except ValueError:
        return False
    same = row.dose is not None and math.isclose(row.dose, value)
    return same and row.dose_kind == (kind or "kl")


def of_kinds(arms: Sequence[ArmAnswers], kinds: Sequence[str]) -> list[ArmAnswers]:
    """The arms of these kinds, in order. Raises InputError for a kind that no arm is."""
    there = dict.fromkeys(a.row.arm for a in arms)
    for kind in kinds:
        if kind not in there:
            raise unknown("arm", kind, there)
    return [a for kind in kinds for a in arms if a.row.arm == kind]


def side_by_side(arms: Sequence[ArmAnswers]) -> list[ArmAnswers]:
    """Of arms at one dose those to read beside each other, in `ORDER`; of random ones one draw.

    The draw is of the operator, placement and blocks of the first steered arm, if there is one.
    """
    by_kind = {kind: [a for a in arms if a.row.arm == kind] for kind in ORDER}
    first = by_kind["steered"][:1]
    like = [a for a in by_kind["random"] if first and _place(a.row) == _place(first[0].row)]
    by_kind["random"] = (like or by_kind["random"])[:1]
    return [a for kind in ORDER for a in by_kind[kind]]


def _place(row: ArmRow) -> tuple[object, ...]:
    return row.operator, row.placement, row.layers


def asked_prompts(arms: Sequence[ArmAnswers], sought: str) -> list[KeptAnswer]:
    """The prompt of that number, or all whose text holds those words; an answer to each.

    Raises InputError where no answered prompt is meant.
    """
    every = {a.prompt: a for arm in arms for a in arm.answers}
    if sought.isdigit():
        found = [every[int(sought)]] if int(sought) in every else []
    else:
        found = [a for a in every.values() if sought.lower() in a.text.lower()]
    if not found:
        some = ", ".join(map(str, sorted(every)[:12]))
        raise InputError(
            f"unknown prompt {sought!r}",
            expected=f"the number of one of {len(every)} answered prompts, or a part of its text",
            got=repr(sought),
            cure=f"choose from {some}{', ...' if len(every) > 12 else ''}; without --prompt some "
            "of them are listed",
        )
    return found
