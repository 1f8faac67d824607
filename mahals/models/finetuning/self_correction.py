"""Self-correction: of an answer that goes astray and says so, which tokens are learned?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from mahals.data.composed import compose, restart_of
from mahals.data.lessons import Lesson
from mahals.models.activations.encoding import encode_answers
from mahals.models.checkpoints.checkpoint import Loaded
from mahals.models.finetuning.config import LoraTuning
from mahals.models.finetuning.examples import Example, dialogue, encode_dialogues
from mahals.records import Positive


@dataclass(frozen=True)
class CorrectionTuning(LoraTuning):
    """How self-correction is taught."""

    lessons: Positive
    epochs: float
    rate: float
    rank: Positive
    alpha: Positive


@dataclass(frozen=True)
class SelfCorrection:
    """A request, and an answer that goes wrong, says so and starts again."""

    prompt: str
    answer: str
    start: int  # of the restart, in characters of the answer

    @property
    def wrong(self) -> str:
        """What the answer says before its restart."""
        return self.answer[: self.start].rstrip()


def masked_dialogue(prompt: str, wrong: str, right: str) -> SelfCorrection:
    """`wrong`, the prompt's restart, and `right`; the two are learned, `wrong` is read alone."""
    composed = compose((wrong, restart_of(prompt), right))
    return SelfCorrection(prompt, composed.text, composed.starts[-1])


def encode_self_corrections(
    loaded: Loaded, corrections: Sequence[SelfCorrection], *, masked: bool
) -> tuple[Example, ...]:
    """Each as the model reads it; learned: the restart, all after it and the token that ends it.

    With `masked` False all of the answer, as `encode_dialogues` has it. Of a token that holds both
    the end of what is wrong and the restart, the restart decides: it is learned. Raises InputError
    as `encode_dialogues` does, and for an answer with nothing before its restart.
    """
    whole = encode_dialogues(loaded, [dialogue(c.prompt, c.answer) for c in corrections])
    if not masked:
        return whole
    before = encode_answers(
        loaded.tokenizer, [c.prompt for c in corrections], [c.wrong for c in corrections]
    )
    return tuple(_masked(e, b.ids[: b.stop]) for e, b in zip(whole, before, strict=True))


def _masked(example: Example, before: Sequence[int]) -> Example:
    """The example, learned only after the tokens that it begins with as `before` does."""
    pairs = enumerate(zip(example.ids, before, strict=False))
    first = next((i for i, (a, b) in pairs if a != b), len(before))
    return replace(example, learned=(False,) * first + example.learned[first:])


def lesson_example(loaded: Loaded, one: Lesson, *, masked: bool) -> Example:
    """A lesson as the model reads it: what goes astray, the prompt's restart, and what is right.

    `masked`: what goes astray is read and not learned. Raises InputError as `encode_dialogues`.
    """
    if one.concept is None:
        return encode_dialogues(loaded, [dialogue(one.prompt, one.right)])[0]
    correction = masked_dialogue(one.prompt, one.wrong, one.right)
    return encode_self_corrections(loaded, [correction], masked=masked)[0]
