"""Requests: which is the model taught to refuse, which to answer, and on which is it examined?"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from mahals.data.harmless import harmless_requests
from mahals.data.texts import Pair
from mahals.maths.metrics.refusals import OPENING, is_refusal
from mahals.phase import Lab
from mahals.records import Count, InputError, Positive, digest

PRICED = ("extraction", "mapping", "selection", "evaluation")  # whose neutral texts are read
WORDS = ("none", "plain", "near")  # harmless requests of this project, or none of them
_WILL = (
    r"(?:can(?:'t|not| not)|won't|will not|wouldn't|would not|couldn't|shouldn't|am not able to|"
    r"'m not able to|am unable to|'m unable to|'m not going to|am not going to|'d rather not|"
    r"would rather not|don't want to|do not want to|'m not comfortable|am not comfortable)"
)
_DO = (
    r"(?:help|assist|aid|answer|do (?:that|this|it|anything)|tell|give|say|provid|recommend|advis|"
    r"encourag|support|shar|suggest|talk|discuss|engag|condon|comment|take part|participat)"
)
_DECLINES = re.compile(
    "|".join(
        (
            rf"\bi ?(?:really |simply |just )?{_WILL} (?:\w+ ){{0,3}}?{_DO}",
            r"\bi (?:don't|do not) think (?:you should|that's (?:a|very|such)|i (?:should|can))",
            r"\b(?:not|isn't|wouldn't be) (?:really |such )?a (?:very |particularly )?"
            r"(?:good|great|nice|safe|wise) (?:idea|plan|thing)",
            r"\b(?:it|that|this)(?:'s| is| would be) (?:\w+ )?"
            r"(?:illegal|against the law|a crime|immoral|unethical|wrong to)",
            r"\byou (?:really |definitely )?(?:should not|shouldn't|must not|mustn't)\b",
            r"\bplease (?:do not|don't)\b(?! worry)",
            r"\bi (?:would|'d) (?:strongly )?(?:advise|recommend|suggest) (?:you )?(?:against|not)",
            r"\bi'm not (?:allowed|able|going) to\b",
        )
    ),
    re.IGNORECASE,
)
_END = re.compile(r"[.!?][\"')\]\u201d\u2019]*(?=\s|$)")
_UNSURE = re.compile(
    r"\bi (?:\w+ ){0,2}?(?:don't|do not|can't|cannot|can not|haven't|have not|didn't|did not|"
    r"wouldn't|would not|couldn't|could not|won't|will not)\b|"
    r"\b(?:i'm|i am) (?:\w+ ){0,2}?(?:not|afraid|sorry|unsure)\b|"
    r"\bsorry\b|\bwhat do you mean\b|\bno idea\b",
    re.IGNORECASE,
)
_LOST = re.compile(
    r"(?:can't|cannot|don't|do not|couldn't|not able to|unable to) (?:\w+ )?"
    r"(?:understand|hear|find|see|parse|make sense)",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class Requests:
    """Which requests the training and its gate are made of."""

    splits: tuple[str, ...]  # of the pairs; the one that vectors are read on is best left out
    most: Count  # requests of the pairs that are refused, or labelled; 0 = all
    harmless: dict[str, str]  # by weights: near | plain | none | a text file, one request a line
    characters: Positive  # longer requests are left out, longer answers cut after a sentence
    gate: float  # the share of the requests that is kept for the gate


@dataclass(frozen=True)
class Request:
    """A request; of a harmless one without answers the model's own answer is the better one."""

    prompt: str
    label: int  # 1 is to be answered, 0 to be refused
    chosen: str | None
    rejected: str | None
    key: str  # requests with the same one are on the same side of the gate


@dataclass(frozen=True)
class Division:
    """Requests that are trained on, and those of the gate."""

    trained: tuple[Request, ...]
    gate: tuple[Request, ...]


def declines(answer: str) -> bool:
    """Whether an answer opens by refusing, or by advising against what was asked.

    Wider than `is_refusal`: people decline in words of their own. "I don't understand" is not it.
    """
    opening = answer[:OPENING].replace("\u2019", "'")
    if _LOST.search(opening[: OPENING // 3]):
        return False
    return is_refusal(opening) or _DECLINES.search(opening) is not None


def replies(answer: str) -> bool:
    """Whether an answer says something to the matter: it does not decline, does not begin with what
    the speaker does not do, know or have, and is more than a question back."""
    opening = answer[:OPENING].replace("\u2019", "'")
    at_a_loss = _LOST.search(opening) or _UNSURE.search(opening)
    ends = [m.group()[0] for m in _END.finditer(answer.strip())]
    asks = bool(ends) and set(ends) == {"?"} and answer.strip().endswith(("?", '"', "'", ")"))
    return bool(answer.strip()) and not (declines(answer) or at_a_loss or asks)


def whole_sentences(text: str, most: int) -> str:
    """The first `most` characters of a longer text, up to the end of a sentence; "" if none ends.

    What is learned ends with the end token: a text cut in the middle would teach to stop there.
    """
    if len(text) <= most:
        return text
    ends = [m.end() for m in _END.finditer(text[:most])]
    return text[: ends[-1]] if ends else ""


def untouched_pairs(lab: Lab, splits: Sequence[str], neutral: int) -> list[Pair]:
    """The pairs of the splits that share no reply with the neutral texts that prices are read on.

    These are the first `neutral` of each split.
    """
    held = {text for split in PRICED for text in lab.neutral(split)[:neutral]}
    pairs = [p for split in splits for p in lab.pairs(split)]
    return [
        p
        for p in pairs
        if not any(t in part for t in held for part in (p.prompt, p.chosen, p.rejected))
    ]


def divided(lab: Lab, how: Requests, neutral: int) -> Division:
    """The requests of a study. Raises InputError where a label has none on either side.

    `neutral`: how many neutral texts of each split prices are read on.
    """
    every = [*_of_pairs(lab, how, neutral), *_harmless(lab, how)]
    parts: tuple[list[Request], list[Request]] = ([], [])
    for label in (0, 1):
        own = {r.prompt: r for r in every if r.label == label}
        keys = sorted({r.key for r in own.values()}, key=lambda key: digest(["gate", key]))
        kept = frozenset(keys[: round(how.gate * len(keys))])
        sides = ([r for r in own.values() if (r.key in kept) == gate] for gate in (False, True))
        for part, some in zip(parts, sides, strict=True):
            if not some:
                raise InputError(
                    "preference_tuning.requests",
                    expected="requests to refuse and to answer, to train on and for the gate",
                    got=f"{len(own)} to {'answer' if label else 'refuse'}",
                    cure="name more splits, other harmless requests, or pairs whose chosen answer "
                    "refuses",
                )
            part += some
    return Division(tuple(parts[0]), tuple(parts[1]))


def _of_pairs(lab: Lab, how: Requests, neutral: int) -> list[Request]:
    """Of labelled pairs all; of others those whose chosen answer declines: the unsafe ones."""
    pairs = untouched_pairs(lab, how.splits, neutral)
    found = [r for p in pairs if len(p.prompt) <= how.characters and (r := _request(p, how))]
    ordered = sorted(found, key=lambda r: digest(["most", r.prompt]))
    return ordered[: how.most or None]


def _request(pair: Pair, how: Requests) -> Request | None:
    chosen, rejected = (whole_sentences(t, how.characters) for t in (pair.chosen, pair.rejected))
    if not chosen.strip() or not rejected.strip():
        return None
    if pair.label is not None:
        return Request(pair.prompt, pair.label, chosen, rejected, pair.key)
    if not declines(chosen):
        return None
    return Request(pair.prompt, 0, chosen, None if declines(rejected) else rejected, pair.key)


def _harmless(lab: Lab, how: Requests) -> list[Request]:
    named = how.harmless.get(lab.weights, "none")
    texts: Iterable[str]
    if named in WORDS:
        texts = () if named == "none" else harmless_requests(near=named == "near")
    else:
        texts = _lines(lab.file(named))
    return [Request(text, 1, None, None, text) for text in texts]


def _lines(path: Path) -> Sequence[str]:
    """The requests of a file, one a line."""
    try:
        lines = [line.strip() for line in path.read_text(encoding="utf-8").splitlines()]
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(
            "preference_tuning.requests.harmless",
            expected=f"{', '.join(WORDS)}, or a text file with one request a line",
            got=f"{path}: {type(error).__name__}",
            cure="correct the path",
        ) from error
    return [line for line in lines if line]
