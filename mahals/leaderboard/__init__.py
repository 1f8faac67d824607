"""Which steered configurations are best, and where can a reader see it?"""

from mahals.leaderboard.board import (
    ORGANISERS,
    Board,
    Line,
    boards,
    configuration_key,
    label,
    rank,
)
from mahals.leaderboard.collect import Collected, collect, publish_leaderboard
from mahals.leaderboard.runs import Written, write_runs
from mahals.leaderboard.show import Origin, terminal_table, write_markdown
from mahals.leaderboard.view import Address, save_views, view_url

__all__ = [
    "ORGANISERS",
    "Address",
    "Board",
    "Collected",
    "Line",
    "Origin",
    "Written",
    "boards",
    "collect",
    "configuration_key",
    "label",
    "publish_leaderboard",
    "rank",
    "save_views",
    "terminal_table",
    "view_url",
    "write_markdown",
    "write_runs",
]
