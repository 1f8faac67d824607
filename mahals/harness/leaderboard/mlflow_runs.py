"""MLflow runs: how does each configuration keep one, replaced by a rerun and never doubled?"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mahals.data.categories import columns_of
from mahals.harness.leaderboard.ranking import (
    Board,
    BoardLine,
    label,
    line_key,
    training_words,
)
from mahals.harness.leaderboard.render import Origin
from mahals.harness.tracking.database import FINGERPRINT, KIND, Store
from mahals.records import digest
from mahals.schema import Configuration

if TYPE_CHECKING:
    from mlflow.entities import Run

POSITION = "position"  # metric: place of a line on its board, ranked ones first
CONFIGURATION = "mahals.configuration"  # tag: identity of a line
CONTENT = "mahals.content"  # tag: digest of all that a run shows
PAGE = 1000


@dataclass(frozen=True)
class Shown:
    """What the MLflow run of a line holds."""

    name: str
    params: Mapping[str, str]
    metrics: Mapping[str, float]
    tags: Mapping[str, str]


@dataclass(frozen=True)
class Written:
    """How many runs of a board were made anew, brought up to date, left alone, removed."""

    made: int
    updated: int
    unchanged: int
    removed: int


def write_runs(
    board: Board,
    origins: Mapping[str, Origin],
    store: Store,
    experiment: str,
    line_done: Callable[[], None] = lambda: None,
) -> Written:
    """One finished run per line of the board: the experiment shows these lines and no others of
    the same suite, weights and training. A run keeps its id unless a metric has to vanish from it.
    `line_done` is called after each line."""
    known = _known(board, store, experiment)
    made = updated = unchanged = removed = 0
    for position, line in enumerate(board.lines, start=1):
        key = line_key(line.entry)
        shown = _shown(line, position, origins.get(key))
        run = known.pop(key, None)
        if run is None:
            _create(shown, store, experiment)
            made += 1
        elif run.data.tags.get(CONTENT) == shown.tags[CONTENT]:
            unchanged += 1
        else:
            _bring_up_to_date(run, shown, store, experiment)
            updated += 1
        line_done()
    for run in known.values():
        store.client.delete_run(run.info.run_id)
        removed += 1
    return Written(made, updated, unchanged, removed)


def search_of(board: Board) -> str:
    """What MLflow finds the runs of a board by."""
    return (
        f'params.weights = "{board.weights}" and params.suite = "{board.suite}" '
        f'and tags.training = "{training_words(board.training)}"'
    )


def _known(board: Board, store: Store, experiment: str) -> dict[str, Run]:
    """The board's runs by line key; a double, as two writers at once could make, is
    deleted."""
    condition = search_of(board)
    known: dict[str, Run] = {}
    token: str | None = None
    while True:
        page = store.client.search_runs([experiment], condition, max_results=PAGE, page_token=token)
        for run in page:
            key = run.data.tags.get(CONFIGURATION, "")
            if key in known or not key:
                store.client.delete_run(run.info.run_id)
            else:
                known[key] = run
        token = page.token
        if not token:
            return known


def _shown(line: BoardLine, position: int, origin: Origin | None) -> Shown:
    entry = line.entry
    columns = columns_of(entry.metrics)
    metrics = {n: _readable(entry.metrics[n]) for n in columns if n in entry.metrics}
    if line.q is not None:
        metrics["q"] = float(f"{line.q:.2g}")
    if line.rank is not None:
        metrics["rank"] = float(line.rank)
    metrics[POSITION] = float(position)
    tags = {KIND: "leaderboard", "status": line.status}
    tags[CONFIGURATION] = line_key(entry)
    tags["note"] = line.why or "beyond every family of nulls"
    tags["readout"] = entry.readout
    tags["nulls"] = entry.harder or "none"
    tags["training"] = training_words(entry.training)
    for name in columns:
        if name not in entry.metrics:
            tags[f"reason.{name}"] = entry.reasons.get(name, "not measured")
    tags["over_ceiling"] = ", ".join(entry.over_ceiling) or "none"
    tags["not_shown_safe"] = ", ".join(entry.not_shown_safe) or "none"
    tags["geometry_only"] = str(entry.geometry_only).lower()
    if entry.weakest_axiom is not None:
        tags["weakest_axiom"] = entry.weakest_axiom
    if entry.vector is not None:
        tags["vector"] = entry.vector
    if origin is not None:
        tags.update({FINGERPRINT: origin.fingerprint, "phase": origin.phase, "unit": origin.unit})
        tags["canonical"] = str(origin.canonical).lower()
        if origin.trainings:
            tags["trainings_held"] = origin.trainings
    params = _params(entry.configuration)
    tags[CONTENT] = digest([metrics, tags, params])
    return Shown(label(entry.configuration), params, metrics, tags)


def _readable(value: float) -> float:
    """Four significant digits: the UI prints all it is given; the results keep the rest."""
    return float(f"{value:.4g}")


def _params(configuration: Configuration) -> dict[str, str]:
    fields = {name: getattr(configuration, name) for name in configuration.__dataclass_fields__}
    for name in ("layers", "source_layers"):
        fields[name] = ", ".join(map(str, fields[name] or ())) or None
    return {name: str(value) for name, value in fields.items() if value is not None}


def _create(shown: Shown, store: Store, experiment: str) -> None:
    from mlflow.entities import Param

    run = store.client.create_run(experiment, tags=dict(shown.tags), run_name=shown.name)
    params = [Param(name, value) for name, value in shown.params.items()]
    try:
        store.client.log_batch(run.info.run_id, _metrics(shown), params, synchronous=True)
    except BaseException:
        store.client.delete_run(run.info.run_id)
        raise
    store.client.set_terminated(run.info.run_id)


def _bring_up_to_date(run: Run, shown: Shown, store: Store, experiment: str) -> None:
    """MLflow cannot take a metric back: a run that must lose one is replaced by another."""
    from mlflow.entities import RunTag

    if not set(run.data.metrics) <= set(shown.metrics):
        _create(shown, store, experiment)
        store.client.delete_run(run.info.run_id)
        return
    changed = {n: v for n, v in shown.metrics.items() if run.data.metrics.get(n) != v}
    tags = [RunTag(n, v) for n, v in shown.tags.items() if run.data.tags.get(n) != v]
    gone = [n for n in run.data.tags if n not in shown.tags and not n.startswith("mlflow.")]
    for name in gone:
        store.client.delete_tag(run.info.run_id, name)
    store.client.log_batch(run.info.run_id, _metrics(shown, changed), tags=tags, synchronous=True)


def _metrics(shown: Shown, only: Sequence[str] | Mapping[str, float] | None = None) -> list[object]:
    from mlflow.entities import Metric

    now = int(time.time() * 1000)
    names = shown.metrics if only is None else only
    return [Metric(name, shown.metrics[name], now, 0) for name in names]
