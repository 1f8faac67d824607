"""Does another family's vector move this model, and by how much of what its own does?"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

import numpy as np
import numpy.typing as npt
import torch

from mahals.activations import capture, encode_prompts, encode_texts
from mahals.arms.bench import Bench, bench, keep_evidence, measure_arms, place, to_row
from mahals.arms.directions import (
    NOT_STEERED,
    Direction,
    at_equal_kl,
    cosine_to,
    directions,
    native_values,
    placed,
)
from mahals.arms.entries import entries, headline_line, headline_metrics
from mahals.arms.evidence import Evidence, collect, transfer_efficiency
from mahals.arms.kinds import ArmKind, ArmRow, Label, Suite, steered_blocks
from mahals.arms.transfers import (
    cosines,
    efficiencies,
    efficiency_line,
    gains,
    homophily_lines,
    over_shuffled,
    shuffled_line,
)
from mahals.figures import Labels, matrix
from mahals.phase import Cost, Kept, Lab, Phase, Summary
from mahals.records import seed_of, unknown
from mahals.transfer import LinearMap, MapKind, fit_map, fit_shuffled, match_layer, move

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Array = npt.NDArray[np.float64]
Operator = Literal["add", "add_preserve_norm"]
SPLIT = "evaluation"
CONTROLS = "controls"
READ_AT_ONCE = 12  # models whose mapping states stay in memory


@dataclass(frozen=True)
class Params:
    """Whose vectors travel, by which maps, and how they are controlled."""

    source: str  # a model of the study, or `all`
    maps: tuple[MapKind, ...]
    method: str  # one of steering_vectors.methods
    layers: Literal["auto"] | tuple[float, ...]  # steered blocks of the target
    layer_match: Literal["relative_depth"]
    operator: Operator
    shuffles: int  # ridge maps with shuffled correspondence
    suite: Suite


@dataclass(frozen=True)
class Task:
    """One source into one target; `controls` are the target's own vector and the random ones."""

    models: tuple[str, ...]  # target, then source
    source: str


@dataclass(frozen=True)
class Row(ArmRow):
    """One arm of one target at the headline dose."""

    shuffle: int | None  # which shuffled map; None for a true one
    r2_held_out: float | None  # of the map, last block; it does not predict transfer
    map_rows: int | None
    cosine_native: float | None  # cosine to the target's own vector, last steered block


def plan(params: Params, lab: Lab) -> Sequence[Task]:
    """The controls once, then every source but the target itself (its own vector is a control)."""
    if params.source != "all" and params.source not in lab.models:
        raise unknown("cross_arch.source", params.source, [*lab.models, "all"])
    sources = lab.models if params.source == "all" else (params.source,)
    tasks = [Task((lab.unit,), CONTROLS)]
    return tasks + [Task((lab.unit, s), s) for s in sources if s != lab.unit]


def measure(task: Task, params: Params, lab: Lab) -> Iterator[Row]:
    """The rows of one task, all arms at one mean KL on neutral text."""
    at = bench(lab, task.models[0], "base", params.suite, SPLIT, None)
    own = native_values(lab, at.loaded.key, params.method)
    make = _controls if task.source == CONTROLS else _transferred
    moved = list(make(task.source, at, own, params, lab))
    dosed = [NOT_STEERED, *at_equal_kl(at, [m.direction for m in moved], params.suite.dose_kl)]
    found = measure_arms(at, [d.arm for d in dosed], neutral=True)
    where = place(lab, at, found[0])
    evidence = keep_evidence(lab, task.source, at, found)
    for i, (d, m, how) in enumerate(zip(dosed, found, [None, *moved], strict=True)):
        if i == 0 and task.source != CONTROLS:
            continue  # the unsteered model has its row among the controls
        row = replace(to_row(d.label, d.strength, at, m, where), evidence=evidence, evidence_row=i)
        yield Row(
            **vars(row),
            shuffle=None if how is None else how.shuffle,
            r2_held_out=None if how is None or how.map is None else how.map.r2_held_out,
            map_rows=None if how is None or how.map is None else how.map.rows,
            cosine_native=None if how is None else cosine_to(own, how.direction),
        )


@dataclass(frozen=True)
class _Moved:
    """A direction in the target, with the map of its last block that brought it there."""

    direction: Direction
    map: LinearMap | None
    shuffle: int | None


def _label(target: str, blocks: tuple[int, ...], params: Params) -> Label:
    """The label of the target's own vector; a transferred one has another source and a map."""
    return Label(
        arm="steered",
        draw=None,
        source=target,
        method=params.method,
        map=None,
        operator=params.operator,
        placement="raw",
        layers=blocks,
        dose_kind=None,
        dose=None,
    )


def _controls(_: str, at: Bench, own: torch.Tensor, params: Params, lab: Lab) -> Iterator[_Moved]:
    """The target's own vector, its flip, and the random directions."""
    blocks = steered_blocks(params.layers, at.loaded.layers, lab.weights)
    label = _label(at.loaded.key, blocks, params)
    seed = seed_of("random directions", at.loaded.key, lab.seed)
    draws = params.suite.random_directions
    for direction in directions(label, placed(own, blocks, "raw"), draws, seed):
        yield _Moved(direction, None, None)


def _transferred(
    source: str, at: Bench, own: torch.Tensor, params: Params, lab: Lab
) -> Iterator[_Moved]:
    """The source's vector by every map, then by ridge maps fitted without correspondence.

    `identity` is there only between models of equal width, where it is defined.
    """
    target = at.loaded.key
    blocks = steered_blocks(params.layers, at.loaded.layers, lab.weights)
    theirs = native_values(lab, source, params.method)
    pairs = {b: match_layer(b, at.loaded.layers, len(theirs)) for b in blocks}
    sides = _sides(source, target, pairs, lab)
    seed = seed_of("map", source, target, lab.seed)
    kinds: list[tuple[MapKind, int | None]] = [
        (kind, None)
        for kind in params.maps
        if kind != "identity" or theirs.shape[1] == own.shape[1]
    ]
    kinds += [("ridge", k) for k in range(params.shuffles)]
    label = replace(_label(target, blocks, params), source=source)
    for kind, shuffle in kinds:
        maps, vectors = {}, {}
        for block in blocks:
            s, t = sides[block]
            fitted = (
                fit_map(kind, s, t, seed)
                if shuffle is None
                else fit_shuffled(kind, s, t, seed + shuffle)
            )
            norm = float(own[block].double().norm())
            moved = move(fitted, theirs[pairs[block]].double().numpy(), norm)
            maps[block], vectors[block] = fitted, torch.from_numpy(moved).float()
        arm: ArmKind = "steered" if shuffle is None else "shuffled"
        named = replace(label, map=kind, arm=arm, draw=shuffle)
        yield _Moved(Direction(named, vectors, 1.0), maps[max(blocks)], shuffle)


def _sides(
    source: str, target: str, pairs: Mapping[int, int], lab: Lab
) -> dict[int, tuple[Array, Array]]:
    """Last-token states of both base models on the mapping texts, by target block.

    The texts are the mapping split's prompts in chat form and its neutral texts: disjoint from
    the steering pairs, in the region where the vector acts and outside it (METHOD 3).
    """
    found = {}
    for key, layers in ((source, sorted(set(pairs.values()))), (target, sorted(pairs))):
        found[key] = _mapping_states(key, tuple(layers), lab)
    return {t: (found[source][s], found[target][t]) for t, s in pairs.items()}


_READ: OrderedDict[tuple[str, str, tuple[int, ...]], dict[int, Array]] = OrderedDict()
"""The last mapping states this process read, by model revision, data and blocks."""


def _mapping_states(key: str, layers: tuple[int, ...], lab: Lab) -> dict[int, Array]:
    loaded = lab.model(key, "base")
    mark = (loaded.revision, lab.data_digest, layers)
    if mark not in _READ:
        texts = encode_prompts(loaded.tokenizer, [p.text for p in lab.prompts("mapping")])
        texts += encode_texts(loaded.tokenizer, lab.neutral("mapping"))
        states = capture(loaded, texts, list(layers), "last").double().numpy()
        _READ[mark] = {layer: states[:, i] for i, layer in enumerate(layers)}
        while len(_READ) > READ_AT_ONCE:
            _READ.popitem(last=False)
    return _READ[mark]


def summarize(rows: Sequence[Row], kept: Kept) -> Summary:
    """Per source, target and map: gain over random, efficiency, price; homophily before and after.

    Metric names carry the target only when there are several.
    """
    found = collect(rows, kept)
    several = len({r.target for r in rows}) > 1
    metrics: dict[str, float] = {}
    lines: list[str] = []
    shares: dict[int, float | str] = {}
    index = {id(r): i for i, r in enumerate(rows)}
    for e in found:
        if e.row.arm != "steered":
            continue
        prefix = f"{e.row.target}/" if several else ""
        prefix += f"{e.row.source}/{e.row.map or 'native'}/"
        metrics |= headline_metrics(e, prefix)
        lines.append(headline_line(e))
        if e.row.map is not None:
            for of in ("aqi", "gap"):
                share = transfer_efficiency(e, _native(found, e.row.target), rows, kept, of)
                if of == "aqi":
                    shares[index[id(e.row)]] = share.reason or "absent"
                if share.interval is not None:
                    metrics[f"{prefix}{of}_efficiency"] = share.interval.estimate
                    lines.append(efficiency_line(e, of, share.interval))
                    if of == "aqi":
                        shares[index[id(e.row)]] = share.interval.estimate
        if e.row.map == "ridge":
            compared = over_shuffled(e, found)
            metrics |= {prefix + name: value for name, value in compared.items()}
            if compared:
                lines.append(shuffled_line(e, compared))
    return Summary(metrics, (*lines, *homophily_lines(rows)), entries(rows, found, shares), ())


def _native(found: Sequence[Evidence], target: str) -> Evidence:
    return next(
        e for e in found if e.row.target == target and e.row.arm == "steered" and e.row.map is None
    )


def draw(rows: Sequence[Row], kept: Kept) -> Mapping[str, Figure]:
    """transfer_matrix of each map, efficiency, compatibility (cosine to the native vector)."""
    found = collect(rows, kept)
    maps = list(dict.fromkeys(r.map for r in rows if r.map is not None and r.arm == "steered"))
    labels = Labels(
        "",
        "aqi over random (points)",
        "Diagonal: the target's own vector. 95 % interval, over random directions at equal KL.",
        better="higher",
        other="vector from (source) | steered model (target)",
    )
    figures = {}
    for kind in maps:
        gain = replace(labels, title=f"Gain over random by {kind}")
        figures[f"transfer_matrix_{kind}"] = matrix(gains(found, kind), gain, True)
        gap = replace(labels, title=f"Refusal gap over random by {kind}", value="share of prompts")
        figures[f"refusal_matrix_{kind}"] = matrix(gains(found, kind, "gap"), gap, True)
    if maps:
        best = "ridge" if "ridge" in maps else maps[-1]
        share = replace(labels, title=f"Refusal-gap efficiency by {best}", value="share of native")
        figures["efficiency"] = matrix(efficiencies(found, best, rows, kept), share, True)
        like = replace(labels, title=f"Cosine to the native vector, by {best}", value="cosine")
        like = replace(like, caption="Last steered block. A cosine does not predict transfer.")
        figures["compatibility"] = matrix(cosines(rows, best), like, True)
    return figures


PHASE = Phase(
    Params,
    Task,
    Row,
    plan,
    measure,
    summarize,
    draw,
    needs=("datasets", "organisms", "steering_vectors"),
    per="model",
    cost=Cost(seconds=8.0, megabytes=0.5),
    reads="all",
)
