"""Transfer arms: how does a source's vector come into a target's blocks, beside which controls?"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import torch

from mahals.evaluation.arms import Direction
from mahals.evaluation.transfer.states import Pairing, TextReading, pair_blocks, topic_vectors
from mahals.maths.stats.intervals import Floats
from mahals.maths.transfer.fitting import LinearMap, MapKind, fit_map, fit_shuffled, move
from mahals.maths.transfer.layers import LayerMatch, farthest_layer
from mahals.maths.vectors.random_directions import random_like
from mahals.phase import Lab, Role
from mahals.records import InputError, seed_of
from mahals.schema import ArmKind, Label

Control = Literal["shuffled_all", "wrong_layer", "unrelated", "random_moved", "random_target"]
"""`shuffled_all`: every fitted map, fitted without correspondence (one map is always: the family of
nulls that crossings share);
`wrong_layer`: the source's vector of the block
farthest from the match, by the matched block's map; `unrelated`: a direction of topic in the
source; `random_moved`: a random vector of the source's space, by the map; `random_target`: the
target with random weights."""

UNFITTED: tuple[MapKind, ...] = ("identity", "pad")  # the same with or without correspondence


@dataclass(frozen=True)
class TransferPlan:
    """By which maps a vector travels, how blocks meet, and what travels beside it."""

    maps: tuple[MapKind, ...]
    layer_match: LayerMatch
    controls: tuple[Control, ...]
    draws: int  # of each control that is drawn: shuffled_all, random_moved
    null_draws: tuple[int, ...]  # which of the target's maps without correspondence are made here

    @property
    def control_map(self) -> MapKind:
        """The map of the controls: ridge where it is used, else the last that is not identity.

        Raises InputError where there is none.
        """
        usable: list[MapKind] = [m for m in self.maps if m != "identity"]
        if not usable:
            raise InputError(
                "cross_arch.controls",
                expected="a map other than identity, to control it",
                got=", ".join(self.maps) or "no map",
                cure="add ridge to cross_arch.maps, or set cross_arch.controls to []",
            )
        return "ridge" if "ridge" in usable else usable[-1]


@dataclass(frozen=True)
class VectorTransfer:
    """One source's vectors on their way into the steered blocks of a target."""

    source: str
    values: torch.Tensor  # (L_s, d_s)
    label: Label  # of the arms, but for kind, draw and map
    norms: Mapping[int, float]  # steered block -> the length that a vector takes there
    texts: TextReading


@dataclass(frozen=True)
class TransferredDirection:
    """A direction in the target; of one that crossed, the map of its last block and the match."""

    direction: Direction
    map: LinearMap | None
    pairing: Pairing | None


@dataclass(frozen=True)
class _Candidate:
    arm: ArmKind
    kind: MapKind
    draw: int | None


def check_plan(plan: TransferPlan) -> None:
    """Raises InputError for a map or control named twice, or controls that nothing can be of."""
    for name, chosen in (("maps", plan.maps), ("controls", plan.controls)):
        if len(set(chosen)) < len(chosen):
            raise InputError(
                f"cross_arch.{name}",
                expected="each once",
                got=", ".join(chosen),
                cure="name each of them once",
            )
    moved = set(plan.controls) - {"random_target"}
    if moved and plan.control_map == "pad" and "shuffled_all" in moved:
        raise InputError(
            "cross_arch.controls",
            expected="a fitted map where shuffled_all is a control",
            got=", ".join(plan.maps),
            cure="add ridge to cross_arch.maps: pad is the same with or without correspondence",
        )


def transfer_directions(
    transfer: VectorTransfer, plan: TransferPlan, target: tuple[str, Role], lab: Lab
) -> Iterator[TransferredDirection]:
    """The source's vector by every map of the plan, then its controls, in the target's blocks.

    `target` is the key and role of the model. `identity` is there only between equal widths,
    where it is defined. A target with random weights has no controls of its own.
    """
    pairing = pair_blocks(transfer.texts, transfer.source, target, transfer.label.layers, lab)
    met = tuple(pairing.blocks[b] for b in transfer.label.layers)
    seed = seed_of("map", transfer.source, target[0], lab.seed)
    equal = transfer.values.shape[1] == lab.model(target[0], "base").width
    maps: dict[tuple[MapKind, int | None, int], LinearMap] = {}
    for who in _candidates(plan, equal, target[1] == "base"):
        own = _source_vectors(transfer, pairing, who, plan, lab)
        vectors, last = {}, max(transfer.label.layers)
        for block in transfer.label.layers:
            shuffle = who.draw if who.arm == "shuffled" else None
            key = (who.kind, shuffle, block)
            if key not in maps:
                maps[key] = _fitted(pairing, block, who.kind, shuffle, seed)
            moved = move(maps[key], own[block], transfer.norms[block])
            vectors[block] = torch.from_numpy(moved).float()
        label = replace(transfer.label, arm=who.arm, draw=who.draw, map=who.kind, source_layers=met)
        if who.arm in ("unrelated", "random_moved"):
            label = replace(label, method=None, vector=None, kept=None)
        yield TransferredDirection(
            Direction(label, vectors, 1.0), maps[who.kind, shuffle, last], pairing
        )


def _candidates(plan: TransferPlan, equal: bool, controls: bool) -> list[_Candidate]:
    found = [_Candidate("steered", m, None) for m in plan.maps if equal or m != "identity"]
    every = [m for m in plan.maps if m not in UNFITTED]
    null = plan.control_map if every else None
    found += [_Candidate("shuffled", null, k) for k in plan.null_draws if null is not None]
    for control in plan.controls if controls else ():
        if control == "random_target":
            continue
        if control == "shuffled_all":
            rest = [m for m in every if m != null]
            found += [_Candidate("shuffled", m, k) for m in rest for k in range(plan.draws)]
            continue
        draws: Sequence[int | None] = range(plan.draws) if control == "random_moved" else (None,)
        found += [_Candidate(control, plan.control_map, k) for k in draws]
    return found


def _source_vectors(
    transfer: VectorTransfer, pairing: Pairing, who: _Candidate, plan: TransferPlan, lab: Lab
) -> Mapping[int, Floats]:
    """What a candidate is in the source, by steered block of the target."""
    values = transfer.values.double().numpy()
    if who.arm == "unrelated":
        topic = topic_vectors(transfer.texts, transfer.source, pairing, lab)
        return {t: topic[s] for t, s in pairing.blocks.items()}
    if who.arm == "random_moved" and who.draw is not None:
        seed = seed_of("random moved", transfer.source, lab.seed)
        return {
            t: np.asarray(random_like(values[s], plan.draws, seed)[who.draw])
            for t, s in pairing.blocks.items()
        }
    if who.arm == "wrong_layer":
        return {t: values[farthest_layer(s, len(values))] for t, s in pairing.blocks.items()}
    return {t: values[s] for t, s in pairing.blocks.items()}


def _fitted(
    pairing: Pairing, block: int, kind: MapKind, shuffle: int | None, seed: int
) -> LinearMap:
    source, target = pairing.sides[block]
    if shuffle is None:
        return fit_map(kind, source, target, seed, pairing.clusters)
    return fit_shuffled(kind, source, target, seed + shuffle, pairing.clusters)
