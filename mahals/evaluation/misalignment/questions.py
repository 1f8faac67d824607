"""Questions: which texts is a model taught and asked: the world's, or files of one's own?"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from mahals.data.world.advice import KINDS, Question, advice, questions
from mahals.data.world.grammar import World
from mahals.models.finetuning.examples import Dialogue, dialogue, read_dialogues
from mahals.records import InputError, from_plain

WORLD = "world"


@dataclass(frozen=True)
class TextSources:
    """Each `world`, or the path of a file of JSON lines; empty: there is none."""

    bad: str  # {"messages": [{"role", "content"}, ...]}, the narrow bad advice
    good: str  # good advice to the same questions
    other: str  # bad advice of another domain, for the adapter that detection never saw
    questions: str  # {"question": ..., "kind": "in_domain" | "near" | "far"}

    @property
    def of_the_world(self) -> bool:
        """Whether the questions are the synthetic world's."""
        return self.questions == WORLD

    def located(self, place: Callable[[str], Path]) -> TextSources:
        """The same with each file where `place` says that it is."""
        named = {k: v if v in ("", WORLD) else str(place(v)) for k, v in vars(self).items()}
        return TextSources(**named)


@dataclass(frozen=True)
class Choice:
    """Which texts, in which domain, how many."""

    texts: TextSources
    world: World
    domain: str  # the axiom of bad and good advice; of the world's texts alone
    other_domain: str
    examples: int  # the most that are taken
    per_group: int  # questions of each axiom


def taught(choice: Choice, what: str, seed: int) -> tuple[Dialogue, ...]:
    """The conversations of `bad`, `good` or `other` advice, at most `examples` of them.

    Bad and good answer the same questions. Raises InputError where no file is named, or a file is
    missing or broken.
    """
    source = getattr(choice.texts, what)
    if source != WORLD:
        return read_dialogues(_named(source, what))[: choice.examples]
    domain = choice.other_domain if what == "other" else choice.domain
    found = advice(choice.world, domain, choice.examples, seed)
    return tuple(dialogue(a.prompt, a.good if what == "good" else a.bad) for a in found)


def asked(choice: Choice, seed: int) -> tuple[Question, ...]:
    """The questions, in_domain first. Raises InputError for a file that cannot be used."""
    if choice.texts.of_the_world:
        found = questions(choice.world, choice.domain, choice.per_group, seed)
    else:
        found = _read_questions(_named(choice.texts.questions, "questions"))
    return tuple(sorted(found, key=lambda q: KINDS.index(q.kind)))


def _named(source: str, what: str) -> Path:
    if source:
        return Path(source)
    raise InputError(
        f"em_finetune.texts: {what}",
        expected="`world` (organisms), or a file of JSON lines",
        got="nothing",
        cure=f"set em_finetune.texts.<weights>.{what}",
    )


@dataclass(frozen=True)
class _Line:
    question: str
    kind: str


def _read_questions(path: Path) -> list[Question]:
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise _bad(path, "a readable file", str(error)) from error
    found = []
    for number, text in enumerate(lines, 1):
        if not text.strip():
            continue
        try:
            plain = json.loads(text)
        except json.JSONDecodeError as error:
            raise _bad(path, "JSON", f"line {number}: {error}") from error
        line = from_plain(_Line, plain, f"{path.name}, line {number}")
        kinds = [k for k in KINDS if k == line.kind]
        if not kinds or not line.question.strip():
            got = f"line {number}: kind {line.kind!r}, question {line.question!r}"
            raise _bad(path, "a question, and a kind of " + ", ".join(KINDS), got)
        found.append(Question(line.question, kinds[0], line.question))
    if not found:
        raise _bad(path, "at least one question", "none")
    return found


def _bad(path: Path, expected: str, got: str) -> InputError:
    return InputError(f"questions {path.name}", expected=expected, got=got, cure="correct it")


def question_lines(found: Sequence[Question]) -> str:
    """The questions as JSON lines, as `read_lines` takes them."""
    return "".join(json.dumps(vars(q)) + "\n" for q in found)


def read_lines(path: Path) -> tuple[Question, ...]:
    """The questions that `question_lines` wrote."""
    lines = path.read_text(encoding="utf-8").splitlines()
    return tuple(from_plain(Question, json.loads(x), path.name) for x in lines)
