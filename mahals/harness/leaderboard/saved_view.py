"""Saved view: how does a board become an MLflow experiment that opens ranked, with its columns?"""

from __future__ import annotations

import base64
import json
import time
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from mahals.harness.leaderboard.mlflow_runs import POSITION, search_of
from mahals.harness.leaderboard.ranking import Board, training_words
from mahals.harness.tracking.database import Store
from mahals.records import digest

EXPERIMENT = "leaderboard"
SHARED_VIEW = "mlflow.sharedViewState."  # experiment tag in which the MLflow UI keeps a saved view
NOTE = "mlflow.note.content"  # experiment tag that the MLflow UI shows as its description

RANKED, BY_AQI = "ranked", "by AQI gain"
VIEWS = {RANKED: "Leaderboard", BY_AQI: "AQI gains (geometry)"}
PLANTED = (
    "Organisms are declared positive controls: small models trained here. Their refusals were "
    "taught (DPO), and the careful persona that the prompt-only arm calls on was in their first "
    "training. A line says that the harness finds what was put there, of one training."
)

VIEW_COLUMNS: tuple[tuple[str, str, int], ...] = (
    ("metrics", "rank", 52),
    ("metrics", "refusal_gap", 92),
    ("metrics", "gap_over_random", 124),
    ("metrics", "gap_over_random_low", 124),
    ("metrics", "gap_over_random_high", 124),
    ("metrics", "gap_over_prompt", 124),
    ("metrics", "perplexity_ratio", 116),
    ("tags", "note", 210),
    ("metrics", "kl50", 70),
    ("metrics", "q", 70),
    ("metrics", "refusal_unsafe", 112),
    ("metrics", "refusal_safe", 100),
    ("metrics", "safe_accuracy", 108),
    ("metrics", "kl", 70),
    ("metrics", "degenerate_share", 130),
    ("metrics", "trainings_held", 112),
    ("metrics", "aqi_gain", 82),
    ("metrics", "aqi_last", 76),
    ("metrics", "aqi_mean", 82),
    ("metrics", "transfer_efficiency", 140),
    ("tags", "nulls", 110),
    ("tags", "training", 90),
    ("params", "source", 110),
    ("params", "method", 140),
    ("params", "map", 96),
    ("params", "dose", 96),
)
"""The columns of the saved view, in the order a reader needs: kind, name, width in pixels."""

AQI_COLUMNS: tuple[tuple[str, str, int], ...] = (
    ("metrics", "gain_over_random", 142),
    ("metrics", "gain_over_random_low", 164),
    ("metrics", "gain_over_random_high", 168),
    ("metrics", "aqi_gain", 86),
    ("metrics", "aqi_last", 80),
    ("metrics", "aqi_mean", 84),
    ("metrics", "refusal_gap", 96),
    ("metrics", "gap_over_random", 130),
    ("tags", "note", 230),
    ("tags", "readout", 84),
    ("tags", "weakest_axiom", 180),
    ("params", "source", 110),
    ("params", "map", 96),
    ("params", "dose", 96),
)
"""The columns of the view of the geometry: gains in AQI, and what was done."""

PINNED = {"attributes.`Run Name`": 232, "runDateAndNestInfo": 92}
"""The columns that the MLflow UI always shows first, with their widths."""


@dataclass(frozen=True)
class Address:
    """How to open a view: the command that serves it (None where a server is up), and its URL."""

    command: str | None
    url: str


def view_id(board: Board, by: str = RANKED) -> str:
    """The id of a saved view of one board; the same on every machine."""
    return digest(["leaderboard", board.weights, board.suite, board.training, by])[:16]


def view_state(board: Board, by: str = RANKED) -> dict[str, object]:
    """What the MLflow UI reads: search, order and columns of one board, ranked or by AQI gain."""
    chosen = VIEW_COLUMNS if by == RANKED else AQI_COLUMNS
    columns = [f"{kind}.`{name}`" for kind, name, _ in chosen]
    widths = {f"{kind}.`{name}`": width for kind, name, width in chosen}
    search = search_of(board)
    if by == BY_AQI:
        search += ' and params.arm = "steered"'
    return {
        "searchFilter": search,
        "orderByKey": f"metrics.`{POSITION if by == RANKED else 'gain_over_random_low'}`",
        "orderByAsc": by == RANKED,
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
    wanted = {NOTE: _note(boards, store)}
    for board in boards:
        for by, title in VIEWS.items():
            key = SHARED_VIEW + view_id(board, by)
            state = json.dumps(view_state(board, by), sort_keys=True)
            if key not in tags or _state_of(tags[key]) != state:
                wanted[key] = _envelope(f"{title}: {_said(board)}", state)
    for key, value in wanted.items():
        if tags.get(key) != value:
            store.client.set_experiment_tag(experiment, key, value)
    return experiment


def view_url(board: Board, store: Store, port: int) -> Address:
    """The one command and URL that open a board, ranked, in the MLflow UI."""
    return address(board_page(board, store), store, port)


def board_page(board: Board, store: Store, by: str = RANKED) -> str:
    """A board's page, ranked or by AQI gain, from the root of the MLflow UI."""
    experiment = store.experiment(EXPERIMENT)
    view = view_id(board, by)
    query = f"viewStateShareKey={view}&workflowType=machine_learning"
    return f"#/experiments/{experiment}/runs?{query}"


def address(page: str, store: Store, port: int) -> Address:
    """How to open a page of the MLflow UI, named from its root."""
    if store.uri.startswith(("http://", "https://")):
        return Address(None, f"{store.uri.rstrip('/')}/{page}")
    command = f"mlflow ui --backend-store-uri {store.uri} --port {port}"
    return Address(command, f"http://127.0.0.1:{port}/{page}")


def _envelope(name: str, state: str) -> str:
    """A saved view as the UI of MLflow 3.17 stores it: its name in clear, its state deflated."""
    packed = "deflate;" + base64.b64encode(zlib.compress(state.encode())).decode()
    return json.dumps({"name": name, "createdAt": int(time.time() * 1000), "state": packed})


def _state_of(envelope: str) -> str:
    packed = str(json.loads(envelope)["state"])
    return zlib.decompress(base64.b64decode(packed.removeprefix("deflate;"))).decode()


def _said(board: Board) -> str:
    """Which board: its weights, suite and training."""
    return f"{board.weights}, {training_words(board.training)}, suite {board.suite}"


def _note(boards: Sequence[Board], store: Store) -> str:
    lines = []
    for board in boards:
        link = board_page(board, store)
        lines.append(f"{board.headline} [{_said(board)}]({link})")
        geometry = board_page(board, store, BY_AQI)
        lines.append(f"By gain in AQI, the geometry: [{_said(board)}]({geometry})")
        if board.weights == "organism":
            lines.append(PLANTED)
    lines.append("Ranked by `gap_over_random_low`; see LEADERBOARD.md for the rules.")
    return "\n\n".join(lines)
