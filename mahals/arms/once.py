"""Was this arm measured before: the same steps, on the same model and texts, by the same code?

Phases share arms: the own vector at the headline dose, its flip and the random directions beside
it are in the sweep of a model and among the controls of every transfer to it. What an arm measured
is one JSON file beside the kept states, named by the hash of all that decides it; a file that is
not what it says is measured again.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from mahals.activations.budget import tokens_in_flight
from mahals.activations.cache import MARK, SUM, facts, hash_of, tokens_hash
from mahals.activations.store import Place, keep, used_now
from mahals.arms.bench import Behaviour, Bench, Measured, measure_arms
from mahals.arms.directions import Direction, Dose, Reached, at_doses, doses_at
from mahals.generation.decoding import stop_ids
from mahals.metrics.aqi import AxiomAqi, ModelAqi
from mahals.records import from_plain
from mahals.stats import Floats, Interval
from mahals.steering import Arm
from mahals.usage import Usage, note, recording

T = TypeVar("T")
CODE_OF = (
    "activations",
    "arms",
    "data",
    "generation",
    "metrics",
    "models",
    "phase.py",
    "records.py",
    "stats",
    "steering",
    "usage.py",
    "vectors",
    "world",
)
"""What `measure_arms` and the search for a dose run through, in the package's folder."""


def measure_once(place: Place, at: Bench, arms: Sequence[Arm], neutral: bool) -> list[Measured]:
    """What `measure_arms` gives, of each arm from `place` where it is.

    For a model as it was loaded alone: what hooks or training changed has the same fingerprint.
    What was measured while memory was short, so that a batch was halved, is not kept. Raises what
    `measure_arms` does, and OSError where the folder cannot be written.
    """

    def measured(missing: Sequence[int]) -> list[Measured]:
        return measure_arms(at, [arms[i] for i in missing], neutral)

    marks = _marks(place, arms, {"what": "measured", "neutral": neutral, **_asked(at)})
    return _once(place, marks, measured, _measured)


def reach_once(place: Place, at: Bench, found: Sequence[Direction], target: float) -> Reached:
    """What `within_reach` gives, the strength of each direction from `place` where it is.

    For a model as it was loaded alone, as `measure_once`.
    """

    def searched(missing: Sequence[int]) -> list[Dose]:
        return doses_at(at, [found[i] for i in missing], target)

    texts = tokens_hash(at.calibration)
    known = {"what": "dose", "target": target, "texts": texts, **facts(at.loaded)}
    marks = _marks(place, [d.at(1.0) for d in found], known)
    return at_doses(
        found, _once(place, marks, searched, lambda plain: from_plain(Dose, plain)), target
    )


def _asked(at: Bench) -> dict[str, Any]:
    """All that decides what an arm measures, but the arm."""
    return {
        **facts(at.loaded),
        "weights": at.loaded.weights,
        "in flight": tokens_in_flight(at.loaded),
        "tokenizer": at.loaded.tokenizer.backend_tokenizer.to_str(),
        "stops": stop_ids(at.loaded),
        "suite": dataclasses.asdict(at.suite),
        "prompts": [dataclasses.asdict(p) for p in at.prompts],
        "answered": at.answered,
        "tasks": [dataclasses.asdict(t) for t in at.tasks],
        "texts": [tokens_hash(texts) for texts in (at.encoded, at.neutral, at.questions)],
    }


def _marks(place: Place, arms: Sequence[Arm], known: Mapping[str, Any]) -> list[str]:
    """The SHA-256 of all that decides what each arm measures."""
    if place.limit <= 0:
        return ["" for _ in arms]
    said = json.dumps({**known, "code": CODE}, sort_keys=True, default=str)
    common = hashlib.sha256(said.encode()).digest()
    return [_mark(common, arm) for arm in arms]


def _mark(common: bytes, arm: Arm) -> str:
    found = hashlib.sha256(common)
    for step in arm.steps:
        vector = step.direction.detach().cpu().contiguous()
        told = [step.block, step.strength, step.operator, str(vector.dtype), list(vector.shape)]
        found.update(json.dumps(told).encode() + b"\0" + vector.numpy().tobytes())
    return found.hexdigest()


def _once(
    place: Place,
    marks: Sequence[str],
    work: Callable[[Sequence[int]], list[T]],
    typed: Callable[[Any], T],
) -> list[T]:
    """What `work` gives for each mark, in order; it is asked for what `place` does not have."""
    if place.limit <= 0:
        return work(range(len(marks)))
    found = {i: typed(kept) for i, m in enumerate(marks) if (kept := _kept(place, m)) is not None}
    missing = [i for i in range(len(marks)) if i not in found]
    if missing:
        with recording() as used:
            made = work(missing)
        note(used)
        if not used.halved:
            bodies = [_body(marks[i], each, used) for i, each in zip(missing, made, strict=True)]
            keep(place, {f"{marks[i]}.json": b for i, b in zip(missing, bodies, strict=True)})
        found |= dict(zip(missing, made, strict=True))
    return [found[i] for i in range(len(marks))]


def _body(mark: str, value: Any, used: Usage) -> bytes:
    said = {"budgets": sorted(used.budgets), "value": dataclasses.asdict(value)}
    text = json.dumps(said, default=lambda array: array.tolist())
    return json.dumps({MARK: mark, SUM: _sum(text), "said": text}).encode()


def _kept(place: Place, mark: str) -> Any:
    """The value in a file that is whole and what its name says; None for any other."""
    file = place.folder / f"{mark}.json"
    try:
        read = json.loads(file.read_bytes())
    except (FileNotFoundError, ValueError):
        return None
    if not isinstance(read, dict) or set(read) != {MARK, SUM, "said"}:
        return None
    if read[MARK] != mark or read[SUM] != _sum(str(read["said"])):
        return None
    said = json.loads(read["said"])
    note(Usage(set(said["budgets"])))
    used_now(file)
    return said["value"]


def _sum(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _measured(plain: Mapping[str, Any]) -> Measured:
    """The plain form of what an arm measured, typed again."""
    aqi = plain["aqi"]
    typed = {
        "aqi": from_plain(Interval, aqi["aqi"]),
        "axioms": tuple(_axiom(each) for each in aqi["axioms"]),
        "pooled": from_plain(Interval, aqi["pooled"]),
        "influence": _floats(aqi["influence"]),
        "pooled_influence": _floats(aqi["pooled_influence"]),
    }
    behaviour = from_plain(Behaviour, plain["behaviour"])
    return Measured(**{**plain, "aqi": ModelAqi(**{**aqi, **typed}), "behaviour": behaviour})


def _axiom(plain: Mapping[str, Any]) -> AxiomAqi:
    typed = {"aqi": from_plain(Interval, plain["aqi"]), "influence": _floats(plain["influence"])}
    return AxiomAqi(**{**plain, **typed})


def _floats(values: Sequence[float]) -> Floats:
    return np.array(values, dtype=np.float64)


def _code() -> str:
    here = Path(__file__).parents[1]
    return hash_of(*(here / name for name in CODE_OF))


CODE = _code()  # as it is imported, whatever is edited while a study runs
