"""Runs: how do finished results become MLflow runs, once each, whoever publishes them how often?"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mahals.harness.tracking.answer_tables import log_answers
from mahals.harness.tracking.database import FINGERPRINT, KIND, Store
from mahals.harness.tracking.descriptions import NOTE, REPORT, unit_note
from mahals.harness.tracking.registered_vectors import register_vectors
from mahals.records import canonical
from mahals.reporting.answers import SUFFIX

if TYPE_CHECKING:
    from mlflow.entities import DatasetInput, Metric, Run
    from mlflow.store.artifact.artifact_repo import ArtifactRepository

    from mahals.harness.workspace.results import Results

PAGE = 1000
TABLE_BYTES = 4_000_000  # larger files are no tables to look at
BATCH = 100  # params or tags that MLflow takes at once
TOLD = "mahals.told"  # tag: by which code a unit's sentences and figures were made
PARENT = "mlflow.parentRunId"  # tag by which MLflow nests runs, also over experiments
RUN_TAGS = ("commit", "dirty", "weights", "seed")


@dataclass(frozen=True)
class Published:
    """Run ids by fingerprint, and how many of them were made now."""

    runs: Mapping[str, str]
    made: int


def no_report(done: int, total: int) -> None:
    """Progress that nobody watches."""


def publish(
    results: Sequence[Results],
    store: Store,
    report: Callable[[int, int], None] = no_report,
    parent: str | None = None,
) -> Published:
    """The runs that are missing, one per unit, in the experiment of the unit's phase.

    Idempotent: a fingerprint that has a finished run is left alone; one whose run another process
    left running is marked killed and made anew, one that was told again takes the place of the run
    that shows the old sentences. Each run holds params, metrics (one batch), tags, input digests,
    figures, report and its vectors' versions. An error marks the run FAILED and is raised again.
    `report` is told how many of how many results are in MLflow. `parent`: the run whose children
    new runs are; a run made anew stays with its first one.
    """
    from mlflow.exceptions import MlflowException

    made, runs, results = 0, {}, _once(results)
    marks = _marks(results)
    finished: dict[str, dict[str, Run]] = {}
    report(0, len(results))
    for number, item in enumerate(results, start=1):
        experiment = store.remembered(item.phase)
        if item.phase not in finished:
            finished[item.phase] = _finished(store, experiment, marks[item.phase])
        run = finished[item.phase].get(item.fingerprint)
        if run is None or run.data.tags.get(TOLD) != _told_by(item):
            try:
                run = _replace(run, item, store, parent)
            except MlflowException:
                if not store.restored(item.phase):
                    raise
                again = publish(results, store, report, parent)  # runs deleted with it are back
                return Published(again.runs, made + again.made)
            finished[item.phase][item.fingerprint] = run
            made += 1
        runs[item.fingerprint] = str(run.info.run_id)
        report(number, len(results))
    return Published(runs, made)


def _marks(results: Sequence[Results]) -> dict[str, set[str]]:
    """The fingerprints of results by phase."""
    marks: dict[str, set[str]] = {}
    for item in results:
        marks.setdefault(item.phase, set()).add(item.fingerprint)
    return marks


def _replace(old: Run | None, item: Results, store: Store, parent: str | None) -> Run:
    """A run of the results, in place of one that shows old sentences and figures, if any."""
    above = parent if old is None else old.data.tags.get(PARENT, parent)
    run = _publish_one(item, store, store.remembered(item.phase), above)
    if old is not None:
        store.client.delete_run(old.info.run_id)
    return run


def _told_by(item: Results) -> str:
    """By which code a unit was told; nothing for results of a time when that was not written."""
    return str(item.telling().get("code", ""))


def _once(results: Sequence[Results]) -> list[Results]:
    """Each fingerprint once, canonical results before copies of them."""
    first: dict[str, Results] = {}
    for item in sorted(results, key=lambda item: not item.is_canonical):
        first.setdefault(item.fingerprint, item)
    return [item for item in results if first[item.fingerprint] is item]


def mark_failed(store: Store, phase: str, unit: str, error: BaseException) -> str:
    """A run in the phase's experiment that says FAILED and why; gives its id."""
    tags = {KIND: "unit", "phase": phase, "unit": unit}
    tags["error"] = f"{type(error).__name__}: {error}"[:5000]
    run = store.client.create_run(store.experiment(phase), tags=tags, run_name=f"{phase}/{unit}")
    store.client.set_terminated(run.info.run_id, "FAILED")
    return str(run.info.run_id)


def _finished(store: Store, experiment: str, marks: Collection[str]) -> dict[str, Run]:
    """The finished runs by fingerprint, those of `marks` at least; ones left running are ended.

    One mark is asked for by name: a run costs the same however many there are. For more, all runs
    are listed once.
    """
    one = f"tags.`{FINGERPRINT}` = '{next(iter(marks))}'"
    condition = one if len(marks) == 1 else f"tags.`{KIND}` = 'unit'"
    known: dict[str, Run] = {}
    token: str | None = None
    while True:
        found = store.client.search_runs(
            [experiment], condition, max_results=PAGE, page_token=token
        )
        for run in found:
            mark = run.data.tags.get(FINGERPRINT)
            if run.info.status == "RUNNING":
                store.client.set_terminated(run.info.run_id, "KILLED")
            elif run.info.status == "FINISHED" and mark is not None:
                known[mark] = run
        token = found.token
        if not token:
            return known


def _publish_one(item: Results, store: Store, experiment: str, parent: str | None) -> Run:
    from mlflow.entities import Param

    facts = item.run()
    ended = int(datetime.fromisoformat(facts["finished"]).timestamp() * 1000)
    began = ended - int(1000 * float(facts["seconds"]["total"]))
    tags, params = _tags(item, facts), list(_params(facts).items())
    if parent is not None:
        tags[PARENT] = parent
    client = store.client
    run = client.create_run(experiment, began, tags, f"{item.phase}/{item.unit}")
    try:
        _log_figures(item, store, run)
        first = [Param(name, value) for name, value in params[:BATCH]]
        client.log_batch(run.info.run_id, _metrics(item, ended), first, synchronous=True)
        for start in range(BATCH, len(params), BATCH):
            more = [Param(name, value) for name, value in params[start : start + BATCH]]
            client.log_batch(run.info.run_id, params=more, synchronous=True)
        if inputs := list(_inputs(item, facts)):
            client.log_inputs(run.info.run_id, inputs)
        _log_tables(item, store, run)
        log_answers(item, store, run)
        register_vectors(item, store, str(run.info.run_id))
    except BaseException:
        client.set_terminated(run.info.run_id, "FAILED")
        raise
    client.set_terminated(run.info.run_id, "FINISHED", ended)
    return run


def _log_figures(item: Results, store: Store, run: Run) -> None:
    """Figures in every form, and the report."""
    place = files_of(run, store)
    if item.figures():
        place.log_artifacts(str(item.folder / "figures"), "figures")
    if (item.folder / REPORT).is_file():
        place.log_artifact(str(item.folder / REPORT))


def files_of(run: Run, store: Store) -> ArtifactRepository:
    """Where a run's files go: the client would read the whole run to find that out, each time."""
    from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository

    return get_artifact_repository(run.info.artifact_uri, tracking_uri=store.uri)


def _log_tables(item: Results, store: Store, run: Run) -> None:
    """Kept JSON lines (answers, projections, talks) as tables, which the UI shows and compares."""
    place = item.kept()
    if place.folder != item.folder / "kept":
        return  # the study's texts have a home of their own
    for name in sorted(place.hashes):
        path = place.folder / name
        arms = name.endswith(SUFFIX)  # shown together by `log_answers`
        if path.suffix != ".jsonl" or arms or path.stat().st_size > TABLE_BYTES:
            continue
        lines = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
        columns = list(dict.fromkeys(key for line in lines for key in line))
        data = {key: [line.get(key) for line in lines] for key in columns}
        table = f"tables/{name.removesuffix('.jsonl')}.json"
        store.client.log_table(run.info.run_id, data, table)


def _metrics(item: Results, ended: int) -> list[Metric]:
    from mlflow.entities import Metric

    values = dict(item.metrics())
    values["seconds"] = float(item.run()["seconds"]["total"])
    return [Metric(name, value, ended, 0) for name, value in values.items()]


def _tags(item: Results, facts: Mapping[str, Any]) -> dict[str, str]:
    tags = {KIND: "unit", FINGERPRINT: item.fingerprint, "phase": item.phase, "unit": item.unit}
    tags["canonical"] = str(item.is_canonical).lower()
    tags["gather"] = str(item.is_gather).lower()
    tags[TOLD] = _told_by(item)
    summary = item.summary()
    suites = sorted({entry.configuration.suite for entry in summary.entries})
    if suites:
        tags["suite"] = ", ".join(suites)
    tags[NOTE] = unit_note(item.provenance(), summary.lines)
    named = {name: facts[name] for name in RUN_TAGS if facts[name] is not None}
    tags.update(dict(flattened({**named, **facts["machine"]})))
    if ran_on := facts.get("ran_on"):
        tags["cpu"] = ", ".join(sorted({each["cpu"] for each in ran_on}))
    if facts["commit"] is not None:
        tags["mlflow.source.git.commit"] = facts["commit"]
    tags.update({f"version.{name}": str(value) for name, value in facts["versions"].items()})
    return tags


def flattened(values: Mapping[str, Any], above: str = "") -> Iterator[tuple[str, str]]:
    """(dotted name, text) of every leaf of nested values; lists stay whole, as JSON."""
    for key, value in values.items():
        name = f"{above}{key}"
        if isinstance(value, Mapping):
            yield from flattened(value, f"{name}.")
        else:
            yield name, value if isinstance(value, str) else canonical(value)


def _params(facts: Mapping[str, Any]) -> dict[str, str]:
    """Effective params, with the shared keys, as MLflow params; an empty text shows as ""."""
    shared = {"weights": facts["weights"], "seed": facts["seed"], "models": facts["models"]}
    named = dict(flattened({**shared, **facts["inputs"]["params"]}))
    return {name: value or '""' for name, value in named.items()}


def _inputs(item: Results, facts: Mapping[str, Any]) -> Iterator[DatasetInput]:
    """The files that the unit was made from, each with the MD5 by which DVC knows it."""
    from mlflow.entities import Dataset, DatasetInput, InputTag

    for path in input_files(item, facts):
        name = item.workspace.relative(path)
        source = canonical({"uri": name})
        dataset = Dataset(name, _md5(path, path.stat().st_mtime_ns), "local", source)
        yield DatasetInput(dataset, [InputTag("mlflow.data.context", "input")])


def input_files(item: Results, facts: Mapping[str, Any]) -> tuple[Path, ...]:
    """The canonical files that went into a unit: rows.jsonl of upstream units, the study's texts,
    local data files that a value names."""
    root, results, files = item.workspace.root, item.workspace.results, []
    for place, content in facts["inputs"].get("upstream", {}).items():
        mark = results / place / "run.json"
        upstream = _run_file(mark, mark.stat().st_mtime_ns) if mark.is_file() else {}
        if upstream.get("content") != content:
            continue
        files.append(mark.parent / "rows.jsonl")
        if upstream.get("home"):
            files += [root / upstream["home"] / name for name in upstream["kept"]]
    files += [root / name for name in facts["inputs"].get("data", {})]
    return tuple(path for path in files if path.is_file())


@lru_cache(maxsize=1024)
def _md5(path: Path, changed: int) -> str:
    """MD5 of a file as it was at the time `changed`."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "md5").hexdigest()


@lru_cache(maxsize=1024)
def _run_file(mark: Path, changed: int) -> dict[str, Any]:
    """A run.json as it was at the time `changed`."""
    data: dict[str, Any] = json.loads(mark.read_text(encoding="utf-8"))
    return data
