"""Made vectors: were these made before, from the same texts and weights, by the same code?

What decides a vector is not what scores it: another value of the suite scores vectors anew, and
finds them as they were made in the cache of states.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from mahals.maths.vectors.estimators import SteeringVectors
from mahals.maths.vectors.pairs import Vectors
from mahals.models.activations.cache import CODE as READING
from mahals.models.activations.cache import hash_of
from mahals.models.activations.store import ABSENT, MARK, SUM, CacheFolder, keep, used_now
from mahals.phases.steering_vectors.measure.pairs import PairReader
from mahals.records import digest
from mahals.schema import Method
from mahals.usage import Usage, note, recording

Arrays = dict[str, npt.NDArray[Any]]
REST = "rest"  # of the metadata: what is no array
ARRAYS = ("values", "norms", "state_norms", "cosine", "split_half")  # of every method


@dataclass(frozen=True)
class Shuffles:
    """The control directions from shuffled pairs: how many, and from which seed."""

    draws: int
    seed: int


@dataclass(frozen=True)
class MadeVectors:
    """The vectors of one method, with their control."""

    vectors: SteeringVectors
    shuffled: Vectors | None  # (draws, L, d); None for no draws


def made_vectors(
    reader: PairReader, methods: Sequence[Method], how: Shuffles, cache: CacheFolder
) -> dict[Method, MadeVectors]:
    """The vectors of each method and their control, from `cache` where they were made before.

    States are read for the others alone; vectors of batches that were halved are not kept. Raises
    what a method does, and InputError where the folder cannot be written.
    """
    marks = {method: _mark(reader, method, how) for method in methods if cache.limit > 0}
    known = {method: _trusted(_file(cache, mark), mark) for method, mark in marks.items()}
    found = {method: made for method, made in known.items() if made is not None}
    missing = [method for method in methods if method not in found]
    with recording() as used:
        if missing:
            reader.read(missing)
    note(used)
    for method in missing:
        found[method] = _make(reader, method, how)
        if method in marks and not used.halved:
            mark = marks[method]
            keep(cache, {_file(cache, mark).name: _body(found[method], mark, used)})
    return {method: found[method] for method in methods}


def _mark(reader: PairReader, method: Method, how: Shuffles) -> str:
    return digest([reader.decisive(method), how.draws, how.seed, CODE])


def _file(cache: CacheFolder, mark: str) -> Path:
    return cache.folder / f"{mark}.vectors"


def _make(reader: PairReader, method: Method, how: Shuffles) -> MadeVectors:
    vectors = reader.vectors(method)
    drawn = reader.shuffled(vectors, method, how.draws, how.seed) if how.draws else None
    return MadeVectors(vectors, drawn)


def _body(found: MadeVectors, mark: str, used: Usage) -> bytes:
    vectors = found.vectors
    arrays: Arrays = {name: np.ascontiguousarray(getattr(vectors, name)) for name in ARRAYS}
    if vectors.explained_variance is not None:
        arrays["explained_variance"] = np.ascontiguousarray(vectors.explained_variance)
    if found.shuffled is not None:
        arrays["shuffled"] = np.ascontiguousarray(found.shuffled)
    rest = json.dumps(
        {"method": vectors.method, "metadata": vectors.metadata, "budgets": sorted(used.budgets)}
    )
    told = {MARK: mark, REST: rest, SUM: _sum(arrays, rest)}
    return bytes(save(arrays, metadata=told))


def _trusted(file: Path, mark: str) -> MadeVectors | None:
    """The vectors in a file that is whole and what its name says; None for any other."""
    try:
        with safe_open(file, framework="np") as opened:
            told = opened.metadata() or {}
            arrays: Arrays = {name: opened.get_tensor(name) for name in opened.keys()}  # noqa: SIM118
    except (*ABSENT, SafetensorError):
        return None
    rest = told.get(REST, "")
    if told.get(MARK) != mark or told.get(SUM) != _sum(arrays, rest):
        return None
    used_now(file)
    shuffled = arrays.pop("shuffled", None)
    explained = arrays.pop("explained_variance", None)
    known = json.loads(rest)
    note(Usage(set(known.pop("budgets"))))
    plain: dict[str, Any] = {**arrays, "explained_variance": explained, **known}
    vectors = SteeringVectors(**plain)
    return MadeVectors(vectors, shuffled)


def _sum(arrays: Arrays, rest: str) -> str:
    found = hashlib.sha256(rest.encode())
    for name, array in sorted(arrays.items()):
        found.update(f"{name} {array.dtype} {array.shape}\0".encode() + array.tobytes())
    return found.hexdigest()


def _code() -> str:
    """What reads states and makes vectors of them: modules by their hash, the library of probes."""
    here = Path(__file__).parent
    maths = here.parents[2] / "maths"
    own = hash_of(here / "made.py", here / "pairs.py", maths / "vectors", maths / "stats")
    return f"{READING} {own} {version('scikit-learn')}"


CODE = _code()  # as it is imported, whatever is edited while a study runs
