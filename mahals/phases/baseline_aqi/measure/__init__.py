"""Measure of baseline_aqi: how far apart are safe and unsafe prompts, and is it above floors?"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Annotated, Any

import numpy as np
import torch

from mahals.data.categories import LEAST, measurable
from mahals.evaluation.sham import has_sham
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
from mahals.records import AtLeast, Count, Positive
from mahals.schema import Pool


@dataclass(frozen=True)
class Params:
    """How states are read and compared."""

    pools: dict[str, Annotated[tuple[Pool, ...], AtLeast(1)]]  # by weights; first: the headline
    spaces: Annotated[tuple[Space, ...], AtLeast(1)]
    permutations: Positive
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
    """The two checkpoints of the pair, then the floors; `sham` where the pair was trained here.

    Last the pair on the selection split: which pool is the headline is chosen by its power there.
    A model without a pair has its one checkpoint in the place of the first, and no choice.
    """
    single = lab.single(lab.unit)
    pair: tuple[Readout, ...] = ("aligned", "base") if single is None else ()
    own: tuple[Readout, ...] = pair if single is None else (single.role,)
    readouts: tuple[Readout, ...] = (*own, "random", "embeddings", "tfidf")
    if has_sham(lab, lab.unit):
        readouts = (*readouts, "sham")
    return [
        *(Task((lab.unit,), readout, "evaluation") for readout in readouts),
        *(Task((lab.unit,), readout, "selection") for readout in pair),
    ]


def measure(task: Task, params: Params, lab: Lab) -> Iterator[Row]:
    """Scores of one readout: tests and probes at the headline layer, bare along the profile.

    On the selection split the bare scores of the last block in the first space.

    Kept: influence (rows, n) of every mean, clusters (n,), and for the aligned checkpoint draws
    (resamples, C), the bootstrap draws of the axioms where models are compared.
    """
    chosen = measurable(lab.prompts(task.split), LEAST, "the prompts", task.split)
    prompts = chosen.prompts
    single = lab.single(task.models[0])
    own: dict[str, Any] = {"pools": params.pools[lab.weights], "split": task.split}
    own |= {"own": "aligned" if single is None else single.role, "seed": lab.seed}
    setting = Setting(**vars(params) | own)
    found: list[SpaceScores] = []
    tensors: dict[str, torch.Tensor] = {}
    for read in reads(task.models[0], task.readout, setting, lab, prompts):
        every = read.last or read.layer_weights is not None
        for space in params.spaces if every and not setting.choosing else params.spaces[:1]:
            found.append(scored(read, space, setting, prompts, len(found)))
            draws = compared_draws(read, space, setting, prompts)
            if draws is not None and draws.values is not None:
                tensors["draws"] = torch.from_numpy(draws.values)
            elif draws is not None:
                found[-1] = found[-1].marked(draws.reason)
    codes = {c: i for i, c in enumerate(dict.fromkeys(p.cluster for p in prompts))}
    tensors["influence"] = torch.from_numpy(np.stack([s.influence for s in found]))
    tensors["clusters"] = torch.tensor([codes[p.cluster] for p in prompts])
    name = task.readout if task.split == "evaluation" else f"{task.readout}-{task.split}"
    reference = lab.keep(f"{name}.safetensors", tensors)
    for score in (score for s in found for score in s.scores):
        mean = score.axiom == "mean"
        absent = (*chosen.absent, *score.absent) if mean else ()
        why = None if single is None else single.reason
        yield replace(score, influence=reference if mean else None, absent=absent, single=why)
