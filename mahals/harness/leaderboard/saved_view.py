"""Saved view: how does a board become an MLflow experiment that opens ranked, with its columns?"""

from __future__ import annotations

import base64
import json
import time
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from mahals.harness.leaderboard.mlflow_runs import POSITION
from mahals.harness.leaderboard.ranking import Board
from mahals.harness.tracking.database import Store
from mahals.records import digest

EXPERIMENT = "leaderboard"
SHARED_VIEW = "mlflow.sharedViewState."  # experiment tag in which the MLflow UI keeps a saved view
NOTE = "mlflow.note.content"  # experiment tag that the MLflow UI shows as its description

VIEW_COLUMNS: tuple[tuple[str, str, int], ...] = (
    ("metrics", "rank", 64),
    ("tags", "note", 210),
    ("metrics", "gain_over_random", 142),
    ("metrics", "gain_over_random_low", 168),
    ("metrics", "gain_over_random_high", 170),
    ("metrics", "q", 100),
    ("metrics", "aqi", 76),
    ("metrics", "refusal_unsafe", 118),
    ("metrics", "refusal_safe", 106),
    ("metrics", "perplexity_ratio", 126),
    ("metrics", "aqi_gain", 86),
    ("metrics", "safe_accuracy", 116),
    ("metrics", "kl", 76),
    ("metrics", "degenerate_share", 136),
    ("metrics", "transfer_efficiency", 144),
    ("tags", "weakest_axiom", 180),
    ("params", "target", 110),
    ("params", "source", 110),
    ("params", "method", 140),
    ("params", "map", 96),
    ("params", "dose", 96),
)
"""The columns of the saved view, in order: kind, name, width in pixels."""

PINNED = {"attributes.`Run Name`": 430, "runDateAndNestInfo": 140}
"""The columns that the MLflow UI always shows first, with their widths."""


@dataclass(frozen=True)
class Address:
    """How to open a view: the command that serves it (None where a server is up), and its URL."""

    command: str | None
    url: str


def view_id(weights: str, suite: str) -> str:
    """The id of the saved view of one board; the same on every machine."""
    return digest(["leaderboard", weights, suite])[:16]


def view_state(board: Board) -> dict[str, object]:
    """What the MLflow UI reads: search, order and columns of one board."""
    columns = [f"{kind}.`{name}`" for kind, name, _ in VIEW_COLUMNS]
    widths = {f"{kind}.`{name}`": width for kind, name, width in VIEW_COLUMNS}
    return {
        "searchFilter": f'params.weights = "{board.weights}" and params.suite = "{board.suite}"',
        "orderByKey": f"metrics.`{POSITION}`",
        "orderByAsc": True,
        "startTime": "ALL",
        "lifecycleFilter": "Active",
        "modelVersionFilter": "All Runs",
        "datasetsFilter": [],
        "selectedColumns": columns,
        "columnOrder": [*PINNED, *columns],
        "columnWidths": {**PINNED, **widths},
        "runsHiddenMode": "FIRST_20_RUNS",
        "viewMaximized": True,
    }


def save_views(boards: Sequence[Board], store: Store) -> str:
    """Writes a saved view per board and the boards' first lines as the experiment's description.
    Gives the experiment's id. Views that say the same already are left alone."""
    experiment = store.experiment(EXPERIMENT)
    tags: Mapping[str, str] = store.client.get_experiment(experiment).tags
    wanted = {NOTE: _note(boards, experiment)}
    for board in boards:
        key = SHARED_VIEW + view_id(board.weights, board.suite)
        state = json.dumps(view_state(board), sort_keys=True)
        if key not in tags or _state_of(tags[key]) != state:
            wanted[key] = _envelope(f"Leaderboard: {board.weights}, {board.suite}", state)
    for key, value in wanted.items():
        if tags.get(key) != value:
            store.client.set_experiment_tag(experiment, key, value)
    return experiment


def view_url(board: Board, store: Store, port: int) -> Address:
    """The one command and URL that open a board, ranked, in the MLflow UI."""
    experiment = store.experiment(EXPERIMENT)
    page = (
        f"/#/experiments/{experiment}/runs?viewStateShareKey="
        f"{view_id(board.weights, board.suite)}&workflowType=machine_learning"
    )
    if store.uri.startswith(("http://", "https://")):
        return Address(None, store.uri.rstrip("/") + page)
    command = f"mlflow ui --backend-store-uri {store.uri} --port {port}"
    return Address(command, f"http://127.0.0.1:{port}{page}")


def _envelope(name: str, state: str) -> str:
    """A saved view as the UI of MLflow 3.17 stores it: its name in clear, its state deflated."""
    packed = "deflate;" + base64.b64encode(zlib.compress(state.encode())).decode()
    return json.dumps({"name": name, "createdAt": int(time.time() * 1000), "state": packed})


def _state_of(envelope: str) -> str:
    packed = str(json.loads(envelope)["state"])
    return zlib.decompress(base64.b64decode(packed.removeprefix("deflate;"))).decode()


def _note(boards: Sequence[Board], experiment: str) -> str:
    lines = []
    for board in boards:
        page = f"#/experiments/{experiment}/runs?viewStateShareKey="
        link = f"{page}{view_id(board.weights, board.suite)}&workflowType=machine_learning"
        lines.append(f"{board.headline} [{board.weights}, suite {board.suite}]({link})")
    lines.append("Ranked by `gain_over_random_low`; see LEADERBOARD.md for the rules.")
    return "\n\n".join(lines)
