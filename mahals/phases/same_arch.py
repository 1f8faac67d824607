"""Does a model's own vector move its AQI beyond what a random one does?"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

import numpy as np

from mahals.arms.bench import Bench, Measured, bench, keep_evidence, measure_arms, place, to_row
from mahals.arms.curves import axiom_curves, dose_curves
from mahals.arms.directions import (
    NOT_STEERED,
    Dosed,
    at_equal_kl,
    at_lambda,
    directions,
    native_values,
    placed,
)
from mahals.arms.entries import entries, headline_line, headline_metrics
from mahals.arms.evidence import Evidence, collect, trend
from mahals.arms.kinds import UNSTEERED, ArmKind, ArmRow, Label, Suite, depth_of, steered_blocks
from mahals.figures import Labels, curve_with_band
from mahals.phase import Cost, Kept, Lab, Phase, Summary
from mahals.records import seed_of
from mahals.stats import spearman
from mahals.steering import Arm

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Operator = Literal["add", "add_preserve_norm"]
Placement = Literal["raw", "increments"]
SPLIT = "evaluation"
LEAST_MODELS = 4  # fewer give no rank correlation worth an interval
STRENGTH = "lambda (units of the vector's norm)"


@dataclass(frozen=True)
class Params:
    """What is swept: strengths, operators and placements of one kind of vector."""

    lambdas: tuple[float, ...]  # in units of the vector's norm; 0 checks that nothing moves
    method: str  # one of steering_vectors.methods
    layers: Literal["auto"] | tuple[float, ...]
    operators: tuple[Operator, ...]
    placements: tuple[Placement, ...]
    suite: Suite


@dataclass(frozen=True)
class Task:
    """One operator and placement of one model; both None for the arms that are not steered."""

    models: tuple[str, ...]
    operator: Operator | None
    placement: Placement | None


@dataclass(frozen=True)
class Row(ArmRow):
    """One arm of one model."""

    cosine: float | None  # of aligned and base states, mean over blocks; steered arms only


def plan(params: Params, lab: Lab) -> Sequence[Task]:
    """The unsteered references, then every operator and placement that differ.

    With one steered block `raw` and `increments` are the same vector: only `raw` is planned.
    """
    blocks = steered_blocks(params.layers, depth_of(lab.entry(lab.unit), lab.weights), lab.weights)
    placements: tuple[Placement, ...] = params.placements if len(blocks) > 1 else ("raw",)
    steered = [Task((lab.unit,), o, p) for o in params.operators for p in placements]
    return [Task((lab.unit,), None, None), *steered]


def measure(task: Task, params: Params, lab: Lab) -> Iterator[Row]:
    """The rows of one task; all its arms share prompts, neutral texts and questions."""
    if task.operator is None or task.placement is None:
        yield from _references(task.models[0], params.suite, lab)
        return
    at = bench(lab, task.models[0], "base", params.suite, SPLIT, None)
    dosed = list(_dosed(task.operator, task.placement, params, lab, at))
    arms = [NOT_STEERED.arm, *(d.arm for d in dosed)]
    base, *found = measure_arms(at, arms, neutral=True)
    _check(dosed, found, base)
    where = place(lab, at, base)
    evidence = keep_evidence(lab, f"{task.operator}-{task.placement}", at, found)
    for i, (d, m) in enumerate(zip(dosed, found, strict=True)):
        row = replace(to_row(d.label, d.strength, at, m, where), evidence=evidence, evidence_row=i)
        steered = row.arm == "steered"
        yield Row(**vars(row), cosine=_cosine(row, params.method, lab) if steered else None)


def _cosine(row: ArmRow, method: str, lab: Lab) -> float:
    """The mean cosine over the blocks of the vector's model, as steering_vectors found it."""
    made = lab.rows("steering_vectors", row.target)
    return float(np.mean([r.cosine for r in made if r.method == method]))


def _check(dosed: Sequence[Dosed], found: Sequence[Measured], base: Measured) -> None:
    """Strength 0 is the unsteered model, and no other strength is. Raises RuntimeError."""
    for one, m in zip(dosed, found, strict=True):
        same = m.aqi.aqi == base.aqi.aqi and m.behaviour == base.behaviour and m.kl == base.kl
        if (one.strength == 0) != (same and m.kl == 0.0):
            raise RuntimeError(
                f"{one.arm.name} at strength {one.strength}: hooks did not act as told"
            )


def _dosed(
    operator: Operator, placement: Placement, params: Params, lab: Lab, at: Bench
) -> Iterator[Dosed]:
    """The vector, its flip and the random directions, at each lambda and at the headline dose."""
    key = at.loaded.key
    blocks = steered_blocks(params.layers, at.loaded.layers, lab.weights)
    label = Label(
        arm="steered",
        draw=None,
        source=key,
        method=params.method,
        map=None,
        operator=operator,
        placement=placement,
        layers=blocks,
        dose_kind=None,
        dose=None,
    )
    vectors = placed(native_values(lab, key, params.method), blocks, placement)
    seed = seed_of("random directions", key, lab.seed)
    found = directions(label, vectors, params.suite.random_directions, seed)
    for strength in params.lambdas:
        yield from at_lambda(found if strength else found[:1], strength)
    yield from at_equal_kl(at, found, params.suite.dose_kl)


def _references(key: str, suite: Suite, lab: Lab) -> Iterator[Row]:
    """The unsteered model, the instruction in the prompt, and the aligned checkpoint."""
    benches: dict[ArmKind, Bench] = {
        "unsteered": bench(lab, key, "base", suite, SPLIT, None),
        "prompt": bench(lab, key, "base", suite, SPLIT, suite.instruction[lab.weights]),
        "aligned": bench(lab, key, "aligned", suite, SPLIT, None),
    }
    found = {
        kind: measure_arms(at, [Arm(kind, ())], neutral=kind != "prompt")[0]
        for kind, at in benches.items()
    }
    found["aligned"] = replace(found["aligned"], kl=None)  # a model has no KL from itself
    at = benches["unsteered"]
    where = place(lab, at, found["unsteered"])
    evidence = keep_evidence(lab, "references", at, list(found.values()))
    for i, (kind, m) in enumerate(found.items()):
        row = to_row(replace(UNSTEERED, arm=kind), None, at, m, where)
        yield Row(**vars(replace(row, evidence=evidence, evidence_row=i)), cosine=None)


def summarize(rows: Sequence[Row], kept: Kept) -> Summary:
    """Per model and operator: the gain over random at the headline dose, and the trend over lambda.

    Metric names carry the model only when there are several.
    """
    found = collect(rows, kept)
    several = len({r.target for r in rows}) > 1
    metrics: dict[str, float] = {}
    lines: list[str] = []
    for row in rows:
        if row.arm in ("unsteered", "prompt", "aligned"):
            metrics[f"{_prefix(row, several)}{row.arm}_aqi"] = row.aqi
    for e in found:
        if e.row.arm == "steered" and e.row.dose_kind == "kl":
            metrics |= headline_metrics(e, _prefix(e.row, several) + _variant(e.row))
            lines.append(headline_line(e))
    for group in _grids(rows):
        slope = trend(group, kept)
        rises = all(a.aqi <= b.aqi for a, b in itertools.pairwise(group))
        metrics[f"{_prefix(group[0], several)}{_variant(group[0])}aqi_slope"] = slope.estimate
        lines.append(
            f"{group[0].target}, {_variant(group[0], ' ')}aqi over lambda: slope "
            f"{slope.estimate:+.1f} [{slope.low:+.1f}, {slope.high:+.1f}] points per unit, "
            f"{'monotone' if rises else 'not monotone'} over {len(group)} strengths"
        )
    for variant in dict.fromkeys(_variant(e.row, " ") for e in found if e.row.arm == "steered"):
        some = [e for e in found if e.row.dose_kind == "kl" and e.row.arm == "steered"]
        same = [e for e in some if _variant(e.row, " ") == variant]
        if len(same) >= LEAST_MODELS:
            lines.append(_cosine_line(variant, same))
    return Summary(metrics, tuple(lines), entries(rows, found, {}), ())


def _cosine_line(variant: str, same: Sequence[Evidence]) -> str:
    """Does the cosine of a model's vector predict what the vector does? A rank correlation."""
    known = [
        (e.row.cosine, e.over_random.interval.estimate)
        for e in same
        if isinstance(e.row, Row) and e.row.cosine is not None and e.over_random is not None
    ]
    found = spearman([c for c, _ in known], [g for _, g in known], 0)
    return (
        f"{variant}over {found.n} models: rank correlation of cosine and aqi gain over random "
        f"{found.rho:+.2f} [{found.low:+.2f}, {found.high:+.2f}], p={found.p:.3g}"
    )


def _prefix(row: ArmRow, several: bool) -> str:
    return f"{row.target}/" if several else ""


def _variant(row: ArmRow, separator: str = "/") -> str:
    return f"{row.operator}{separator}{row.placement}{separator}"


def _grids(rows: Sequence[Row]) -> list[list[Row]]:
    """The steered rows of each lambda grid with three strengths or more, by rising strength."""
    grids: dict[tuple[object, ...], list[Row]] = {}
    for row in rows:
        if row.arm == "steered" and row.dose_kind == "lambda":
            grids.setdefault((row.target, row.operator, row.placement), []).append(row)
    ordered = [sorted(g, key=lambda r: r.dose or 0.0) for g in grids.values()]
    return [g for g in ordered if len(g) > 2]


def draw(rows: Sequence[Row], kept: Kept) -> Mapping[str, Figure]:
    """aqi_vs_lambda with the random band and the references; per_axiom_curves."""
    draws = 1 + max((r.draw for r in rows if r.draw is not None), default=-1)
    n = kept.tensors(rows[0].evidence)["influence"].shape[1]
    caption = (
        f"n = {n} evaluation prompts of 7 axioms. Bars: 95 % jackknife interval. "
        f"Band: range of {draws} random directions of equal norm."
    )
    labels = Labels(
        "AQI over the strength of the model's own vector", "aqi (points)", caption, better="higher"
    )
    axioms = replace(labels, title="AQI of each axiom over the strength of the model's own vector")
    return {
        "aqi_vs_lambda": curve_with_band(dose_curves(rows), replace(labels, other=STRENGTH)),
        "per_axiom_curves": curve_with_band(axiom_curves(rows), replace(axioms, other=STRENGTH)),
    }


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
    cost=Cost(seconds=40.0, megabytes=2.0),
)
