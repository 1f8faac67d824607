"""Measure of steering_vectors: which direction leads from base to aligned, and how sure is it?"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import torch

from mahals.evaluation.suite import Suite, steered_blocks
from mahals.maths.stats.intervals import Interval
from mahals.maths.vectors.random_directions import likeness
from mahals.phase import Lab
from mahals.phases.steering_vectors.measure.held_out_axiom import (
    ByAxiom,
    axiom_tensors,
    by_axiom,
    check_axiom,
    leave_out,
)
from mahals.phases.steering_vectors.measure.made import MadeVectors, Shuffles, made_vectors
from mahals.phases.steering_vectors.measure.methods import methods_of
from mahals.phases.steering_vectors.measure.pairs import PairReader, PairReading
from mahals.phases.steering_vectors.measure.selection import Trial, selection_gains
from mahals.phases.steering_vectors.rows import Row
from mahals.records import Count, InputError, Positive, Several, seed_of
from mahals.schema import Method, Texts


@dataclass(frozen=True)
class Params:
    """Which vectors are made, from which texts, read at which tokens."""

    methods: tuple[Method, ...]
    svd_k: Positive  # which singular vector, from 1 (published: 3)
    svd_centered: bool
    texts: dict[str, Texts]  # by weights: what mean_difference and svd_k read
    pool: Literal["last", "mean"]
    pairs: Count  # how many of the extraction split; 0 = all
    left_out: str  # a category whose pairs make no vector, or none
    shuffles: Count  # directions from shuffled pairs, kept beside each vector; 0 = none
    tokens: Positive  # longer texts lose their beginning
    layers: Literal["auto"] | tuple[float, ...]  # the blocks the selection score steers
    selection_draws: Several  # random directions that the methods are compared with there
    suite: Suite


@dataclass(frozen=True)
class Task:
    """All vectors of one model: they share the captured states."""

    models: tuple[str, ...]


def plan(params: Params, lab: Lab) -> Sequence[Task]:
    """One task. Raises InputError for methods named twice or not at all, and unknown axioms."""
    if not params.methods or len(set(params.methods)) < len(params.methods):
        raise InputError(
            "steering_vectors.methods",
            expected="one or more different methods",
            got=str(list(params.methods)),
            cure="name each method once",
        )
    check_axiom(params.left_out, lab.weights)
    return [Task((lab.unit,))]


def measure(task: Task, params: Params, lab: Lab) -> Iterator[Row]:
    """Every method's vectors at every block, kept as safetensors, with their selection score.

    Of a model without a pair those of one checkpoint alone, with the reason. Raises InputError
    where none of the methods is one of these.
    """
    key = task.models[0]
    possible = methods_of(params.methods, lab.single(key), key)
    pairs = lab.pairs("extraction")
    divided = leave_out(pairs[: params.pairs] if params.pairs else pairs, params.left_out)
    texts = params.texts[lab.weights]
    reading = PairReading(texts, params.pool, params.tokens, params.svd_k, params.svd_centered)
    reader = PairReader(reading, lab, key, divided.used)
    how = Shuffles(params.shuffles, seed_of("shuffled pairs", key, lab.seed))
    found = made_vectors(reader, possible.methods, how, lab.cache)
    apart = PairReader(reading, lab, key, divided.apart) if divided.apart else None
    lab.report("scoring on the selection split", 0, 1)
    values = {m: v.vectors.values for m, v in found.items()}
    trial = Trial(params.layers, params.selection_draws, params.suite)
    gains = selection_gains(values, trial, lab, key)
    lab.report("scoring on the selection split", 1, 1)
    for method, one in found.items():
        axioms = by_axiom(reader, apart) if method == "mean_difference" else ByAxiom(None, (), None)
        tensors = {"values": torch.from_numpy(one.vectors.values)}
        if axioms.directions is not None:
            tensors |= axiom_tensors(axioms.directions)
        if one.shuffled is not None:
            tensors["shuffled"] = torch.from_numpy(one.shuffled)
        kept = lab.keep(f"{method}.safetensors", tensors)
        why = (divided.reason, axioms.reason, gains[method].reason, possible.reason)
        reason = "; ".join(r for r in why if r) or None
        made = _Made(method, one, kept, axioms.categories, gains[method].gain, reason)
        yield from _rows(made, reader, divided.axiom, params, lab)


@dataclass(frozen=True)
class _Made:
    """One method's vectors, and what is known of them all."""

    method: Method
    made: MadeVectors
    kept: str
    categories: tuple[str, ...]  # of the directions by category that are kept beside
    gain: Interval | None  # on the selection split
    reason: str | None


def _rows(
    made: _Made, reader: PairReader, left_out: str | None, params: Params, lab: Lab
) -> Iterator[Row]:
    base = lab.model(lab.unit, "base")
    steered = steered_blocks(params.layers, base.layers, lab.weights)
    vectors, method = made.made.vectors, made.method
    turned, explained = vectors.metadata.get("cosine_to_mean"), vectors.explained_variance
    drawn = made.made.shuffled
    alike = None if drawn is None else likeness(drawn, vectors)
    for block in range(base.layers):
        gain = made.gain if block in steered else None
        yield Row(
            model=base.key,
            method=method,
            block=block,
            blocks=base.layers,
            width=base.width,
            norm=float(vectors.norms[block]),
            state_norm=float(vectors.state_norms[block]),
            cosine=float(vectors.cosine[block]),
            explained_variance=None if explained is None else float(explained[block]),
            cosine_to_mean=turned[block] if isinstance(turned, list) else None,
            split_half=float(vectors.split_half[block]),
            shuffled_cosine=None if alike is None else float(alike[block]),
            samples=int(vectors.metadata["samples"]),  # type: ignore[arg-type]
            shortened=reader.shortened(method),
            empty=reader.empty(method),
            texts=reader.texts(method),
            pool=params.pool,
            left_out=left_out,
            vectors=made.kept,
            categories=made.categories,
            revision=base.revision,
            selection_gain=None if gain is None else gain.estimate,
            selection_gain_low=None if gain is None else gain.low,
            selection_gain_high=None if gain is None else gain.high,
            steered=block in steered,
            reason=made.reason,
        )
