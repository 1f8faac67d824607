"""Display: how do the bars of a run look in a terminal, and what is written above them?"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TextIO

if TYPE_CHECKING:
    from rich.live import Live
    from rich.progress_bar import ProgressBar
    from rich.table import Table

AROUND = 3  # lines of a terminal that worker bars leave free: the total bar and what is above


@dataclass(frozen=True)
class BarRow:
    """One bar in words. `share` None: how much of it is done cannot be known."""

    name: str
    state: str
    share: float | None
    time: str


class Display:
    """Bars at the bottom of a terminal, at its width, and lines above them.

    Drawn only when told to, without a thread: workers can be forked meanwhile.
    """

    def __init__(self, stream: TextIO) -> None:
        from rich.console import Console

        self._console = Console(file=stream, force_terminal=True)
        self._live: Live | None = None

    def line(self, text: str) -> None:
        """Writes a line above the bars, over several lines where it is longer than the terminal."""
        from rich.text import Text

        self._console.print(Text(text))

    def draw(self, workers: Sequence[BarRow], total: BarRow) -> None:
        """Draws a bar for each worker and the total below, in place of what was drawn before."""
        from rich.live import Live

        if self._live is None:
            self._live = Live(
                console=self._console,
                auto_refresh=False,
                redirect_stdout=sys.stdout.isatty(),
                redirect_stderr=sys.stderr.isatty(),
            )
            self._live.start()
        self._live.update(self._grid(workers, total), refresh=True)

    def close(self, total: BarRow) -> None:
        """Leaves the total alone, as it stands."""
        if self._live is not None:
            self._live.update(self._grid((), total), refresh=True)
            self._live.stop()
            self._live = None

    def _grid(self, workers: Sequence[BarRow], total: BarRow) -> Table:
        from rich.table import Table

        width, room = self._console.width, max(1, self._console.height - AROUND)
        words: dict[str, Any] = {"no_wrap": True, "overflow": "ellipsis"}
        grid = Table.grid(padding=(0, 1), expand=True)
        grid.add_column(ratio=1, **words)
        grid.add_column(ratio=1, **words)
        grid.add_column(width=max(6, min(24, width // 6)))
        grid.add_column(width=6, justify="right", **words)
        shown = workers if len(workers) <= room else workers[: room - 1]
        for row in shown:
            grid.add_row(*self._cells(row))
        if len(shown) < len(workers):
            grid.add_row(f"and {len(workers) - len(shown)} more at work")
        grid.add_row(*self._cells(total), style="bold")
        return grid

    @staticmethod
    def _cells(row: BarRow) -> tuple[Any, ...]:
        from rich.text import Text

        return Text(row.name), Text(row.state), _bar(row.share), Text(row.time)


def _bar(share: float | None) -> ProgressBar:
    from rich.progress_bar import ProgressBar

    if share is None:
        return ProgressBar(total=None, pulse=True)
    return ProgressBar(total=1.0, completed=share)
