"""Measure of baseline_aqi: how far apart are safe and unsafe prompts, and is it above floors?"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Annotated

import numpy as np
import torch

from mahals.maths.metrics.spaces import Space
from mahals.phase import Lab
from mahals.phases.baseline_aqi.measure.scores import (
    LayerPooling,
    Setting,
    SpaceScores,
    compared_draws,
    reads,
    scored,
)
from mahals.phases.baseline_aqi.rows import Readout, Row, Split
from mahals.records import AtLeast, Count
from mahals.schema import Pool


@dataclass(frozen=True)
class Params:
    """How states are read and compared."""

    pools: dict[str, Annotated[tuple[Pool, ...], AtLeast(1)]]  # by weights; first: the headline
    spaces: Annotated[tuple[Space, ...], AtLeast(1)]
    permutations: Count
    resamples: Count
    tsne: bool
    layer_pooling: LayerPooling


@dataclass(frozen=True)
class Task:
    """One readout of one model: a checkpoint's states, or a floor."""

    models: tuple[str, ...]
    readout: Readout
    split: Split


def plan(params: Params, lab: Lab) -> Sequence[Task]:
    """The two checkpoints of the pair, then the floors; `sham` exists on organisms only.

    Last the pair on the selection split: which pool is the headline is chosen by its power there.
    """
    readouts: tuple[Readout, ...] = ("aligned", "base", "random", "embeddings", "tfidf")
    if lab.weights == "organism":
        readouts = (*readouts, "sham")
    pair: tuple[Readout, ...] = ("aligned", "base")
    return [
        *(Task((lab.unit,), readout, "evaluation") for readout in readouts),
        *(Task((lab.unit,), readout, "selection") for readout in pair),
    ]


def measure(task: Task, params: Params, lab: Lab) -> Iterator[Row]:
    """Scores of one readout: tests and probes at the headline layer, bare along the profile.

    On the selection split the bare scores of the last block in the first space.

    Kept: influence (rows, n) of every mean, clusters (n,), and for the aligned checkpoint draws
    (resamples, 7), the bootstrap draws of the axioms where models are compared.
    """
    prompts = lab.prompts(task.split)
    own = {"pools": params.pools[lab.weights], "split": task.split, "seed": lab.seed}
    setting = Setting(**vars(params) | own)
    found: list[SpaceScores] = []
    tensors: dict[str, torch.Tensor] = {}
    for read in reads(task.models[0], task.readout, setting, lab, prompts):
        every = read.last or read.layer_weights is not None
        for space in params.spaces if every and not setting.choosing else params.spaces[:1]:
            found.append(scored(read, space, setting, prompts, len(found)))
            draws = compared_draws(read, space, setting, prompts)
            if draws is not None:
                tensors["draws"] = torch.from_numpy(draws)
    codes = {c: i for i, c in enumerate(dict.fromkeys(p.cluster for p in prompts))}
    tensors["influence"] = torch.from_numpy(np.stack([s.influence for s in found]))
    tensors["clusters"] = torch.tensor([codes[p.cluster] for p in prompts])
    name = task.readout if task.split == "evaluation" else f"{task.readout}-{task.split}"
    reference = lab.keep(f"{name}.safetensors", tensors)
    for score in (score for s in found for score in s.scores):
        at = reference if score.axiom == "mean" else None
        yield replace(score, influence=at)
