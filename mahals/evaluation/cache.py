"""Arm cache: was this arm scored before, by the same steps, model, texts and code?

Phases share arms: the own vector at the headline dose, its flip and the random directions beside
it are in the sweep of a model and among the controls of the transfers to it. An arm's scores are
one JSON file beside the kept states, named by the hash of all that decides them, the strength that
gives a direction its dose another; a file that is not what it says is made again.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Callable, Mapping, Sequence, Set
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import torch

from mahals.evaluation.arms import Direction
from mahals.evaluation.bench import Bench
from mahals.evaluation.dose import Dose, Reached, at_doses, doses_at, within_reach
from mahals.evaluation.scores import (
    ArmScores,
    Readings,
    Shift,
    StateScores,
    measure_arms,
    score_arms,
    with_answers,
    written,
)
from mahals.evaluation.suite import NeutralLoss
from mahals.maths.metrics.aqi import AxiomAqi, ModelAqi
from mahals.maths.stats.intervals import Floats, Interval
from mahals.models.activations.budget import tokens_at, tokens_in_flight
from mahals.models.activations.cache import facts, hash_of, tokens_hash
from mahals.models.activations.store import ABSENT, MARK, SUM, CacheFolder, check, keep, used_now
from mahals.models.generation.decoding import stop_ids
from mahals.models.generation.price import price_budget
from mahals.models.steering.interventions import Arm
from mahals.records import from_plain
from mahals.usage import Usage, note, recording

T = TypeVar("T")
TEXT = "text"  # of the value, which the hash is over
CODE_OF = (
    "data",
    "evaluation/arms.py",
    "evaluation/bench.py",
    "evaluation/cache.py",
    "evaluation/dose.py",
    "evaluation/native_vectors.py",
    "evaluation/refusal_bench.py",
    "evaluation/scores.py",
    "evaluation/suite.py",
    "maths/metrics",
    "maths/stats",
    "maths/vectors",
    "models/activations",
    "models/checkpoints",
    "models/generation",
    "models/judges",
    "models/steering",
    "phase.py",
    "records.py",
    "schema.py",
    "usage.py",
)
"""What scores and the search for a dose run through, in the package's folder."""


def cached_scores(
    cache: CacheFolder, at: Bench, arms: Sequence[Arm], neutral: bool
) -> list[ArmScores]:
    """What `measure_arms` gives, the scores of each arm from `cache` where they are.

    Answers are written anew: arms share batches, and at a near tie another batch may choose another
    token. For a model as it was loaded alone: what hooks or training changed has the same
    fingerprint. Scores of batches that were halved, or planned smaller than the hash says, are not
    kept. Raises what `measure_arms` does, and InputError where the folder cannot be written.
    """
    if cache.limit <= 0 or not arms:
        return measure_arms(at, arms, neutral)
    return with_answers(at, _scores(cache, at, arms, neutral), written(at, arms))


def cached_set(cache: CacheFolder, at: Bench, arms: Sequence[Arm]) -> list[ArmScores]:
    """As `cached_scores` with prices, for arms that several phases share as one set: null arms.

    They are written apart from all other arms, always in the same batches, so their answers are
    kept with the scores: all of the set, or none.
    """
    if cache.limit <= 0 or not arms:
        return measure_arms(at, arms, True)
    stops = list(stop_ids(at.loaded))  # also the tokenizer's and the generation config's
    known = {"what": "answers", "asked": list(at.answered), "stops": stops, **_asked(at)}
    mark = hashlib.sha256("".join(_marks(arms, known)).encode()).hexdigest()
    ask = _Ask(cache, [mark], {tokens_in_flight(at.loaded)})
    (found,) = _once(ask, lambda _: [_Answers(written(at, arms))], partial(from_plain, _Answers))
    return with_answers(at, _scores(cache, at, arms, True), found.answers)


@dataclasses.dataclass(frozen=True)
class _Answers:
    answers: list[list[str]]  # [arm][prompt]


def _scores(cache: CacheFolder, at: Bench, arms: Sequence[Arm], neutral: bool) -> list[StateScores]:
    """What `score_arms` gives, of each arm from `cache` where it is."""

    def score(missing: Sequence[int]) -> list[StateScores]:
        return score_arms(at, [arms[i] for i in missing], neutral)

    planned = {tokens_at(at.loaded), price_budget(at.loaded)}
    marks = _marks(arms, {"what": "scores", "neutral": neutral, **_asked(at)})
    return _once(_Ask(cache, marks, planned), score, _scored)


def cached_doses(
    cache: CacheFolder, at: Bench, found: Sequence[Direction], target: float
) -> Reached:
    """What `within_reach` gives, the strength of each direction from `cache` where it is.

    For a model as it was loaded alone, as `cached_scores`; raises as that does.
    """
    if cache.limit <= 0 or not found:
        return within_reach(at, found, target)

    def search(missing: Sequence[int]) -> list[Dose]:
        return doses_at(at, [found[i] for i in missing], target)

    texts = [tokens_hash(some) for some in at.calibration.sets]
    known = {"what": "dose", "target": target, "texts": texts, **facts(at.loaded)}
    ask = _Ask(cache, _marks([d.at(1.0) for d in found], known), {price_budget(at.loaded)})
    return at_doses(found, _once(ask, search, partial(from_plain, Dose)), target)


def _asked(at: Bench) -> dict[str, Any]:
    """All that decides an arm's scores and answers, but the arm.

    Of the suite alone what they are read and written by: who judges answers, how many arms there
    are and what is too dear is asked of what is found here.
    """
    longest = at.suite.new_tokens_of(at.loaded.weights)
    return {
        **facts(at.loaded),
        "suite": [at.readout, at.suite.space, longest],
        "prompts": [dataclasses.asdict(p) for p in at.prompts],
        "tasks": [dataclasses.asdict(t) for t in at.tasks],
        "texts": [tokens_hash(texts) for texts in (at.encoded, at.neutral, at.chat, at.questions)],
    }


def _marks(arms: Sequence[Arm], known: Mapping[str, Any]) -> list[str]:
    """The SHA-256 of all that decides what is found of each arm: what is `known`, and its steps."""
    text = json.dumps({**known, "code": CODE}, sort_keys=True)
    common = hashlib.sha256(text.encode()).digest()
    return [_mark(common, arm) for arm in arms]


def _mark(common: bytes, arm: Arm) -> str:
    found = hashlib.sha256(common)
    for step in arm.steps:
        vector = step.direction.detach().cpu().contiguous()
        told = [step.block, step.strength, step.operator, step.scope, str(vector.dtype)]
        told.append(list(vector.shape))
        found.update(json.dumps(told).encode() + b"\0")
        found.update(vector.view(torch.uint8).numpy().tobytes())
    return found.hexdigest()


@dataclasses.dataclass(frozen=True)
class _Ask:
    """Where something is kept, under which marks, and for which token budgets these stand."""

    cache: CacheFolder
    marks: Sequence[str]
    planned: Set[int]


def _once(
    ask: _Ask, work: Callable[[Sequence[int]], list[T]], typed: Callable[[Any], T]
) -> list[T]:
    """What `work` gives for each mark, in order; it is asked for what the cache does not have."""
    plain = [_kept(ask.cache, mark) for mark in ask.marks]
    found = {i: typed(each) for i, each in enumerate(plain) if each is not None}
    missing = [i for i, each in enumerate(plain) if each is None]
    if missing:
        check(ask.cache)
        with recording() as used:
            made = work(missing)
        note(used)
        if not used.halved and used.budgets <= ask.planned:
            marks = [ask.marks[i] for i in missing]
            pairs = zip(marks, made, strict=True)
            keep(ask.cache, {f"{mark}.json": _body(mark, each, used) for mark, each in pairs})
        found |= dict(zip(missing, made, strict=True))
    return [found[i] for i in range(len(plain))]


def _body(mark: str, value: Any, used: Usage) -> bytes:
    told = {"budgets": sorted(used.budgets), "value": dataclasses.asdict(value)}
    text = json.dumps(told, default=lambda array: array.tolist())
    return json.dumps({MARK: mark, SUM: _sum(text), TEXT: text}).encode()


def _kept(cache: CacheFolder, mark: str) -> Any:
    """The value in a file that is whole and what its name says; None for any other."""
    file = cache.folder / f"{mark}.json"
    try:
        read = json.loads(file.read_bytes())
    except (*ABSENT, ValueError):
        return None
    if not isinstance(read, dict) or set(read) != {MARK, SUM, TEXT}:
        return None
    if read[MARK] != mark or read[SUM] != _sum(str(read[TEXT])):
        return None
    told = json.loads(read[TEXT])
    note(Usage(set(told["budgets"])))
    used_now(file)
    return told["value"]


def _sum(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _scored(plain: Mapping[str, Any]) -> StateScores:
    """The plain form of an arm's scores, typed again."""
    readings, right = plain["readings"], plain["right"]
    return StateScores(
        Readings(_aqi(readings["mean"]), _aqi(readings["last"]), readings["readout"]),
        None if right is None else tuple(right),
        None if plain["loss"] is None else from_plain(NeutralLoss, plain["loss"]),
        None if plain["shift"] is None else from_plain(Shift, plain["shift"]),
    )


def _aqi(plain: Mapping[str, Any]) -> ModelAqi:
    typed = {
        "aqi": from_plain(Interval, plain["aqi"]),
        "axioms": tuple(_axiom(each) for each in plain["axioms"]),
        "pooled": from_plain(Interval, plain["pooled"]),
        "influence": _floats(plain["influence"]),
        "pooled_influence": _floats(plain["pooled_influence"]),
    }
    return ModelAqi(**{**plain, **typed})


def _axiom(plain: Mapping[str, Any]) -> AxiomAqi:
    typed = {"aqi": from_plain(Interval, plain["aqi"]), "influence": _floats(plain["influence"])}
    return AxiomAqi(**{**plain, **typed})


def _floats(values: Sequence[float]) -> Floats:
    return np.array(values, dtype=np.float64)


def _code() -> str:
    here = Path(__file__).parents[1]
    return hash_of(*(here / name for name in CODE_OF))


CODE = _code()  # as it is imported, whatever is edited while a study runs
