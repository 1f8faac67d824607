"""Does a model's own vector move its AQI beyond what a random one does?"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

import numpy as np

from mahals.evaluation.arms import NOT_STEERED, Native, by_axiom_arms, native
from mahals.evaluation.bench import Bench, bench, instructed, propensity
from mahals.evaluation.cache import measure_once
from mahals.evaluation.row_writer import keep_evidence, place, to_row
from mahals.evaluation.suite import (
    UNSTEERED,
    ArmRow,
    Label,
    Suite,
    SweptRow,
    Unit,
    depth_of,
    steered_blocks,
)
from mahals.maths.stats.ranks import spearman
from mahals.models.steering.batch_invariance import check_batched
from mahals.models.steering.interventions import Arm
from mahals.phase import ArmKind, Cost, Kept, Lab, Phase, Summary
from mahals.phases.same_arch.figures import sweep_figures
from mahals.phases.same_arch.measure.propensity import Asked
from mahals.phases.same_arch.measure.sweep import Strengths, mean_propensity, sweep, swept_arms
from mahals.phases.same_arch.report.sweep import grid_said, grids, headline_said, variant
from mahals.reporting.axiom_parts import keep_effects
from mahals.reporting.detector import detector_line
from mahals.reporting.entries import entries
from mahals.reporting.evidence import Evidence, collect
from mahals.reporting.multi_agent import societies
from mahals.reporting.multi_agent_report import society_said

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Operator = Literal["add", "add_preserve_norm"]
Placement = Literal["raw", "increments"]
SPLIT = "evaluation"
LEAST_MODELS = 4  # fewer give no rank correlation worth an interval


@dataclass(frozen=True)
class Params:
    """What is swept: strengths, operators and placements of one kind of vector."""

    lambdas: tuple[float, ...]  # 0 checks that nothing moves
    unit: Unit  # of lambda: the vector's norm, or the mean length of the base's states at the block
    method: str  # one of steering_vectors.methods
    layers: Literal["auto"] | tuple[float, ...]
    operators: tuple[Operator, ...]
    placements: tuple[Placement, ...]
    propensity_draws: int  # random directions whose propensity is measured over the lambdas
    effects: bool  # the vector of each axiom on each axiom, at the headline dose
    suite: Suite


@dataclass(frozen=True)
class Task:
    """One operator and placement of one model; both None for the arms that are not steered."""

    models: tuple[str, ...]
    operator: Operator | None
    placement: Placement | None


@dataclass(frozen=True)
class Row(SweptRow):
    """One arm of one model."""


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
    at = bench(lab, task.models[0], "base", params.suite, SPLIT)
    own = native(lab, at.loaded.key, params.method)
    label = _label(task, own, at, params, lab)
    reached = swept_arms(at, label, own, Strengths(params.lambdas, params.unit), lab)
    check_batched(at.loaded, at.encoded, reached.dosed[-1].arm, at.suite.pool)
    swept = sweep(at, reached, params.propensity_draws, lab)
    name, found = f"{task.operator}-{task.placement}", swept.found
    effects_kept = None
    if params.effects:
        of_axioms = by_axiom_arms(label, own, label.layers)
        effects_kept = keep_effects(lab, f"{name}-effects", at, of_axioms)
    evidence = keep_evidence(lab, name, at, found, swept.tensors())
    where = place(lab, at, swept.base)
    cosine = _cosine(at.loaded.key, params.method, lab)
    for i, (d, m) in enumerate(zip(reached.dosed, found, strict=True)):
        row = replace(to_row(d.label, d.strength, at, m, where), evidence=evidence, evidence_row=i)
        steered = row.arm == "steered"
        chosen = swept.selected.get(i)
        yield Row(
            **vars(row),
            cosine=cosine if steered else None,
            left_out=own.left_out if steered else None,
            same_block=swept.same_block[i].aqi.estimate - swept.base.aqi.aqi.estimate,
            propensity_unsafe=mean_propensity(at, swept.asked.of(i), 0),
            propensity_safe=mean_propensity(at, swept.asked.of(i), 1),
            selection_aqi=None if chosen is None else chosen.aqi,
            selection_over=None if chosen is None else chosen.over,
            effects=effects_kept if steered and row.dose_kind == "kl" else None,
            missed=reached.missed,
        )


def _cosine(key: str, method: str, lab: Lab) -> float:
    """The mean cosine over the blocks of the vector's model, as steering_vectors found it."""
    made = lab.rows("steering_vectors", key)
    return float(np.mean([r.cosine for r in made if r.method == method]))


def _label(task: Task, own: Native, at: Bench, params: Params, lab: Lab) -> Label:
    """The label of the model's own vector, without a dose."""
    return Label(
        arm="steered",
        draw=None,
        source=at.loaded.key,
        method=params.method,
        map=None,
        operator=task.operator,
        placement=task.placement,
        layers=steered_blocks(params.layers, at.loaded.layers, lab.weights),
        dose_kind=None,
        dose=None,
        vector=own.mark,
        kept=own.kept,
    )


def _references(key: str, suite: Suite, lab: Lab) -> Iterator[Row]:
    """The unsteered model, the instruction in the prompt, and the aligned checkpoint."""
    base = bench(lab, key, "base", suite, SPLIT)
    benches: dict[ArmKind, Bench] = {
        "unsteered": base,
        "prompt": instructed(base, suite.instruction[lab.weights]),
        "aligned": bench(lab, key, "aligned", suite, SPLIT),
    }
    for at in benches.values():
        check_batched(at.loaded, at.encoded, NOT_STEERED.arm, suite.pool)
    found = {
        kind: measure_once(lab.cache, at, [Arm(kind, ())], neutral=kind != "prompt")[0]
        for kind, at in benches.items()
    }
    found["aligned"] = replace(found["aligned"], kl=None)  # a model has no KL from itself
    where = place(lab, base, found["unsteered"])
    asked = Asked(propensity(base, [NOT_STEERED.arm]), (0,))
    evidence = keep_evidence(lab, "references", base, list(found.values()), asked.tensors())
    for i, (kind, m) in enumerate(found.items()):
        row = to_row(replace(UNSTEERED, arm=kind), None, base, m, where)
        yield Row(
            **vars(replace(row, evidence=evidence, evidence_row=i)),
            cosine=None,
            left_out=None,
            same_block=None,
            propensity_unsafe=mean_propensity(base, asked.of(i), 0),
            propensity_safe=mean_propensity(base, asked.of(i), 1),
            selection_aqi=None,
            selection_over=None,
            effects=None,
            missed=(),
        )


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
            said = headline_said(e, rows, found, kept)
            metrics |= _named(said.metrics, _prefix(e.row, several) + variant(e.row))
            lines += said.lines
    for group in grids(rows):
        said = grid_said(group, rows, found, kept)
        metrics |= _named(said.metrics, _prefix(group[0], several) + variant(group[0]))
        lines += said.lines
    for kind in dict.fromkeys(variant(e.row, " ") for e in found if e.row.arm == "steered"):
        some = [e for e in found if e.row.dose_kind == "kl" and e.row.arm == "steered"]
        same = [e for e in some if variant(e.row, " ") == kind]
        if len(same) >= LEAST_MODELS:
            lines.append(_cosine_line(kind, same))
    agents = societies(rows, kept)
    if agents is not None:
        together = society_said(agents)
        metrics |= together.metrics
        lines += together.lines
    lines += dict.fromkeys(f"{r.target}: {why}" for r in rows for why in r.missed)
    lines.append(detector_line(rows, kept))
    return Summary(metrics, tuple(lines), entries(rows, found, {}), ())


def _named(metrics: Mapping[str, float], prefix: str) -> dict[str, float]:
    return {prefix + name: value for name, value in metrics.items()}


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


def draw(rows: Sequence[Row], kept: Kept) -> Mapping[str, Figure]:
    """aqi_vs_lambda with the random band and the references; per_axiom_curves.

    Of one model also axiom_effects; of several axiom_agent_heatmap before and after steering and
    attack_success.
    """
    return sweep_figures(rows, kept)


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
