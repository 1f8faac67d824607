"""Attempt cache: which texts did a checkpoint that judges score before, for any phase and seed?"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache as once
from pathlib import Path

from mahals.models.activations.store import ABSENT, CacheFolder, check, keep, used_now
from mahals.models.judges.judge import QuestionAnswer
from mahals.records import canonical, digest, from_plain

AT_ONCE = 256  # texts that are scored together: what a kill can cost
Scorer = Callable[[Sequence[QuestionAnswer]], list[float | None]]


@dataclass(frozen=True)
class KeptScore:
    """A score as its file: whole, or not believed."""

    fingerprint: str
    score: float | None  # in [0, 100]; None: abstained


def cached_relevance(cache: CacheFolder, identity: object, make: Callable[[], Scorer]) -> Scorer:
    """What the scorer of `make` says, from `cache` where it is; made where a text is new.

    `identity` is all that decides a score but prompt and text. Each file is written whole or not
    at all, so that processes may share it. Raises InputError where the folder cannot be written.
    """
    known, made = digest(identity), once(make)

    def score(asked: Sequence[QuestionAnswer]) -> list[float | None]:
        if cache.limit <= 0:
            return made()(asked)
        marks = [digest([known, a]) for a in asked]
        texts = dict(zip(marks, asked, strict=True))
        found = {m: kept for m in texts if (kept := _read(cache.folder / f"{m}.json", m))}
        waiting = [m for m in texts if m not in found]
        for at in range(0, len(waiting), AT_ONCE):
            check(cache)
            group = waiting[at : at + AT_ONCE]
            scores = made()([texts[m] for m in group])
            new = {m: KeptScore(m, s) for m, s in zip(group, scores, strict=True)}
            keep(cache, {f"{m}.json": canonical(kept).encode() for m, kept in new.items()})
            found |= new
        return [found[m].score for m in marks]

    return score


def _read(file: Path, mark: str) -> KeptScore | None:
    try:
        found = from_plain(KeptScore, json.loads(file.read_text("utf-8")))
    except (*ABSENT, ValueError):
        return None
    used_now(file)
    return found if found.fingerprint == mark else None
