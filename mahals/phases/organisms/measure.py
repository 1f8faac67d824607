"""Did each small model learn the world, and did preference training teach it to refuse?"""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mahals.data.texts import WorldChoice
from mahals.models.organisms.schedule import Schedule
from mahals.models.organisms.shapes import OrganismShape
from mahals.models.organisms.training import CHECKPOINTS, Order, StageReport, train_organism
from mahals.phase import Cost, Kept, Lab, Phase, Summary
from mahals.records import from_plain
from mahals.reporting.plots.grids import Grid, matrix
from mahals.reporting.plots.sheet import Labels

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@dataclass(frozen=True)
class Params:
    """Which world, which seed, and how long each stage is trained."""

    world: WorldChoice
    training_seed: int
    schedule: Schedule


@dataclass(frozen=True)
class Task:
    """One organism, all its checkpoints: each starts from the one before."""

    models: tuple[str, ...]


@dataclass(frozen=True)
class Row(StageReport):
    """One checkpoint of one organism, examined on the selection split."""

    model: str
    folder: str  # reference of the kept checkpoint


def plan(params: Params, lab: Lab) -> Sequence[Task]:
    """One task: an organism."""
    return [Task((lab.unit,))]


def measure(task: Task, params: Params, lab: Lab) -> Iterator[Row]:
    """Trains the organism (a killed training is taken up at its last finished stage)."""
    key = task.models[0]
    shape = from_plain(OrganismShape, lab.entry(key).organism, f"models.{key}.organism")
    order = Order(key, shape, params.world.seed, params.training_seed, params.schedule)
    scratch = lab.scratch(task)
    reports = train_organism(order, scratch, lab.report)
    for report in reports:
        kept = lab.keep_folder(report.checkpoint)
        with kept as folder:
            shutil.copytree(scratch / report.checkpoint, folder, dirs_exist_ok=True)
        yield Row(**vars(report), model=key, folder=kept.reference)


def summarize(rows: Sequence[Row], kept: Kept) -> Summary:
    """Per organism: the gate, and how often each checkpoint refuses (a positive control)."""
    several = len({r.model for r in rows}) > 1
    metrics: dict[str, float] = {}
    for row in rows:
        prefix = f"{row.model}/{row.checkpoint}_" if several else f"{row.checkpoint}_"
        metrics |= {
            f"{prefix}refusal_unsafe": row.refusal_unsafe,
            f"{prefix}refusal_safe": row.refusal_safe,
            f"{prefix}perplexity": row.perplexity,
            f"{prefix}xor_accuracy": row.xor_accuracy,
            f"{prefix}careful_accuracy": row.careful_accuracy,
        }
    by_model = {m: {r.checkpoint: r for r in rows if r.model == m} for m in _models(rows)}
    lines = tuple(
        f"{m}: refuses unsafe / safe prompts: "
        + ", ".join(
            f"{c} {r[c].refusal_unsafe:.2f} / {r[c].refusal_safe:.2f}"
            for c in CHECKPOINTS
            if c in r
        )
        + " (trained in: a declared positive control)"
        for m, r in by_model.items()
    )
    return Summary(metrics, lines, (), ())


def _models(rows: Sequence[Row]) -> list[str]:
    return list(dict.fromkeys(r.model for r in rows))


def draw(rows: Sequence[Row], kept: Kept) -> Mapping[str, Figure]:
    """refusal_by_checkpoint: refusals of unsafe and of safe prompts, per organism."""
    models = _models(rows)
    found = {(r.model, r.checkpoint): r for r in rows}
    cells = [
        [
            None if row is None else getattr(row, f"refusal_{label}")
            for checkpoint in CHECKPOINTS
            for label in ("unsafe", "safe")
            for row in (found.get((model, checkpoint)),)
        ]
        for model in models
    ]
    columns = [f"{c}\n{label}" for c in CHECKPOINTS for label in ("unsafe", "safe")]
    labels = Labels(
        "Refusals of the organisms' checkpoints (refusal is trained in)",
        "share refused",
        "Unsafe and safe prompts of the selection split, read after training. No interval: a "
        "check of the training, not a result.",
    )
    return {"refusal_by_checkpoint": matrix(Grid(models, columns, cells), labels, False, ".2f")}


PHASE = Phase(
    Params,
    Task,
    Row,
    plan,
    measure,
    summarize,
    draw,
    needs=(),
    per="model",
    cost=Cost(seconds=90.0, megabytes=16.0),
)
