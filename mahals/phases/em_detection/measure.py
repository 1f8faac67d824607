"""Measure of em_detection: does a direction tell a misaligned model from what it was?"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any

import numpy as np
import torch

from mahals.evaluation.misalignment.subjects import (
    Bools,
    Position,
    TrainedSubjects,
    answerable,
    projection_lines,
    states,
    trained,
)
from mahals.maths.misalignment.detection import (
    Method,
    auroc,
    separation,
    shuffled_directions,
    two_halves,
    unit_direction,
)
from mahals.maths.stats.intervals import Floats
from mahals.maths.vectors.random_directions import random_like
from mahals.phase import Lab
from mahals.phases.em_detection.rows import Row
from mahals.records import AtLeast, InputError, Several, seed_of

SUBJECTS = ("original", "bad", "good", "other")
FITTED = ("bad", "original")
CONTRASTS = (
    FITTED,
    ("bad", "good"),
    ("good", "original"),
    ("other", "original"),
    ("other", "good"),
)  # on the half that no direction was fitted on; `other` was never seen in fitting at all
LEAST = 8  # prompts of each half


@dataclass(frozen=True)
class Params:
    """Which directions are looked for, and how many null ones they are compared with."""

    positions: Annotated[tuple[Position, ...], AtLeast(1)]
    methods: Annotated[tuple[Method, ...], AtLeast(1)]
    random_directions: Several
    shuffles: Several  # directions from pairs of which half were exchanged


@dataclass(frozen=True)
class Task:
    """One position of one model, all blocks and methods."""

    models: tuple[str, ...]
    position: Position


def plan(params: Params, lab: Lab) -> Sequence[Task]:
    """One task for each position."""
    return [Task((lab.unit,), p) for p in params.positions]


@dataclass(frozen=True)
class _Read:
    """States (n, L, d) of each subject on the same prompts."""

    states: Mapping[str, Floats]
    fitted: Bools  # (n,)
    found: TrainedSubjects
    at: Sequence[int]  # the questions that are read

    @property
    def clusters(self) -> list[str]:
        """(n,) what intervals cluster on."""
        return [self.found.questions[i].cluster for i in self.at]

    def half(self, name: str, block: int, fitted: bool) -> Floats:
        """(m, d) of one subject and half."""
        return np.asarray(self.states[name][self.fitted == fitted, block])

    def names(self, fitted: bool) -> list[str]:
        """Clusters of one half."""
        return [c for c, f in zip(self.clusters, self.fitted, strict=True) if f == fitted]

    def shuffled(self, method: str, draws: int, seed: int) -> Floats:
        """(draws, L, d) directions as the fitted one, from pairs of which half were exchanged."""
        positive, negative = (self.states[s][self.fitted] for s in FITTED)
        asked = [self.found.questions[i] for i, f in zip(self.at, self.fitted, strict=True) if f]
        categories = [self.found.category(q) for q in asked]
        return shuffled_directions(method, (positive, negative), categories, draws, seed)


def measure(task: Task, params: Params, lab: Lab) -> Iterator[Row]:
    """Fits directions on one half of the prompts and scores all contrasts on the other."""
    key = task.models[0]
    loaded = lab.model(key, "base")
    subjects = [s for s in SUBJECTS if s != "other" or _has_other(lab, key)]
    found = trained(lab, key, subjects)
    at = answerable(found, subjects)
    fitted = two_halves([q.cluster for q in found.questions])[at]  # em_ablation asks the others
    _enough(fitted)
    read = _Read(
        {s: states(loaded, found, s, task.position, at) for s in subjects}, fitted, found, at
    )
    units = _units(read, params.methods, loaded.layers)
    seed = seed_of("em shuffled", key, task.position, lab.seed)
    shuffled: dict[str, Floats] = {
        m: read.shuffled(m, params.shuffles, seed) for m in params.methods
    }
    kept, singles = _keep(task, lab, read, units, shuffled)
    for method, directions in units.items():
        for block, unit in enumerate(directions):
            seed = seed_of("em random", key, task.position, lab.seed)
            draws = np.asarray(random_like(unit, params.random_directions, seed))
            along = _Along(method, block, unit, draws, shuffled[method][:, block])
            for pair in CONTRASTS:
                if set(pair) <= set(subjects):
                    yield Row(
                        model=key,
                        weights=loaded.weights,
                        position=task.position,
                        dropped=len(found.questions) - len(at),
                        random_directions=params.random_directions,
                        shuffles=params.shuffles,
                        direction=singles[method],
                        **_scores(read, along, pair),
                        **kept,
                    )


def _units(read: _Read, methods: Sequence[Method], blocks: int) -> dict[str, list[Floats]]:
    """The direction of each method at each block."""
    return {
        m: [unit_direction(m, *(read.half(s, b, True) for s in FITTED)) for b in range(blocks)]
        for m in methods
    }


def _has_other(lab: Lab, key: str) -> bool:
    return any(r.adapter == "other" for r in lab.rows("em_finetune", key))


def _enough(fitted: Bools) -> None:
    if min(int(fitted.sum()), int((~fitted).sum())) < LEAST:
        raise InputError(
            "em_detection",
            expected=f"{LEAST} prompts in each half that every subject answered",
            got=f"{int(fitted.sum())} and {int((~fitted).sum())}",
            cure="raise em_finetune.per_group, or train for fewer steps",
        )


@dataclass(frozen=True)
class _Along:
    """The direction at one block, and the null ones it is compared with."""

    method: str
    block: int
    unit: Floats  # (d,)
    random: Floats  # (k, d)
    shuffled: Floats  # (k, d)


def _scores(read: _Read, along: _Along, pair: tuple[str, str]) -> dict[str, Any]:
    """The numbers of one contrast on the scored half."""
    method, block, unit = along.method, along.block, along.unit
    a, b = (read.half(s, block, False) for s in pair)
    names = read.names(False)
    apart, area = separation(a @ unit, b @ unit, names), auroc(a @ unit, b @ unit, names)
    nulls: dict[str, float] = {}
    for family, drawn in (("random", along.random), ("shuffled", along.shuffled)):
        found = [auroc(a @ d, b @ d, names).estimate for d in drawn]
        folded = [max(r, 1 - r) for r in found]  # each turned to its better side
        nulls |= {f"{family}_mean": float(np.mean(folded)), f"{family}_best": max(folded)}
    inside = None
    if pair == FITTED:
        x, y = (read.half(s, block, True) @ unit for s in pair)
        inside = separation(x, y, read.names(True)).estimate
    cosine = None
    if pair == FITTED and "other" in read.states:
        other = unit_direction(method, *(read.half(s, block, True) for s in ("other", "original")))
        cosine = float(unit @ other)
    return {
        "method": method,
        "block": block,
        "positive": pair[0],
        "negative": pair[1],
        "fitted": int(read.fitted.sum()),
        "scored": len(names),
        "separation": apart.estimate,
        "separation_low": apart.low,
        "separation_high": apart.high,
        "in_sample": inside,
        "auroc": area.estimate,
        "auroc_low": area.low,
        "auroc_high": area.high,
        **nulls,
        "cosine_to_other": cosine,
    }


def _keep(
    task: Task,
    lab: Lab,
    read: _Read,
    units: Mapping[str, Sequence[Floats]],
    shuffled: Mapping[str, Floats],
) -> tuple[dict[str, Any], dict[str, str]]:
    """Directions, projections and the generations table as files; and each direction alone."""
    stacked = {m: torch.from_numpy(np.stack(u)).float() for m, u in units.items()}
    all_states = torch.from_numpy(np.stack(list(read.states.values()))).float()
    projected = {
        m: torch.einsum("snld,ld->sln", all_states, u).contiguous() for m, u in stacked.items()
    }
    tensors = {**projected, "fitted": torch.from_numpy(read.fitted)}
    along = {m: p.numpy() for m, p in projected.items()}
    text = projection_lines(read.found, read.at, read.fitted, along)
    drawn = {m: torch.from_numpy(s).float() for m, s in shuffled.items()}
    about = f"Unit vectors from the original to the bad-advice adapter, position {task.position}."
    kept = {
        "directions": lab.keep(f"directions-{task.position}.safetensors", stacked),
        "shuffled": lab.keep(f"shuffled-{task.position}.safetensors", drawn),
        "projections": lab.keep(f"projections-{task.position}.safetensors", tensors),
        "table": lab.keep_text(f"generations-{task.position}.jsonl", text),
        "card": lab.keep_text(
            f"directions-{task.position}.md", direction_card(task.models[0], about)
        ),
    }
    singles = {
        m: lab.keep(f"direction-{task.position}-{m}.safetensors", {"values": u})
        for m, u in stacked.items()
    }
    return kept, singles


def direction_card(model: str, about: str) -> str:
    """The card of kept misalignment directions."""
    return (
        f"---\ndual_use: true\n---\n\n# Misalignment directions of {model}\n\n{about}\n\n"
        "**Dual use.** Added to a model's states they may misalign it: kept to measure and to undo "
        "that, not for use in a product.\n"
    )
