"""Descriptions: what does a run say of itself, in words and links, on its page in MLflow's UI?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from mahals.harness.workspace.provenance import Provenance

NOTE = "mlflow.note.content"  # tag that the UI shows as a run's description, read as Markdown
CHARACTERS = 4800  # MLflow takes 5000 at least, whatever its database
REPORT = "report.md"  # of results: every sentence, and an artifact of their run


@dataclass(frozen=True)
class RunLink:
    """A run of a phase's unit, by where its page is."""

    phase: str
    unit: str
    experiment: str
    run: str

    @property
    def markdown(self) -> str:
        """The unit's name as a link; relative, so that it holds on whatever port the UI is."""
        return f"[{self.unit}](#/experiments/{self.experiment}/runs/{self.run})"


def unit_note(of: Provenance | None, lines: Sequence[str]) -> str:
    """What results are of, and as many whole sentences as a description holds."""
    return _fitting(
        [] if of is None else [f"*{of.line}*"], lines, f"sentences: artifact `{REPORT}`"
    )


def invocation_note(
    of: Provenance | None, links: Sequence[RunLink], top: Sequence[str], view: str | None
) -> str:
    """What was run, the top of the board (or what is said first), and links to the runs it made.

    `view`: the page of the ranked leaderboard. The UI lists as children of a run those of its own
    experiment alone; each phase has one of its own, hence the links.
    """
    by_phase: dict[str, list[str]] = {}
    for link in links:
        by_phase.setdefault(link.phase, []).append(link.markdown)
    what = f"Measured: {', '.join(by_phase) or 'nothing yet'}"
    if of is not None:
        what += f"; on {of.line}; models {', '.join(of.models)}"
    parts = [f"**{what}.**", *top]
    if view is not None:
        parts.append(f"[The leaderboard, ranked]({view})")
    runs = [f"* {phase}: {', '.join(names)}" for phase, names in by_phase.items()]
    return _fitting(parts, ["\n".join(runs)] if runs else [], "lists of runs")


def _fitting(first: Sequence[str], more: Sequence[str], what: str) -> str:
    """Paragraphs, those of `more` while there is room, and how many were left out."""
    shown = list(first)
    room = CHARACTERS - sum(len(each) + 2 for each in shown)
    for number, line in enumerate(more):
        room -= len(line) + 2
        if room < 0:
            return "\n\n".join([*shown, f"{len(more) - number} more {what}"])
        shown.append(line)
    return "\n\n".join(shown)


def headline_values(
    named: Sequence[Mapping[str, float]], taken: int, limit: int
) -> dict[str, float]:
    """The first metrics of several sources, in order, while there is room beside `taken` others."""
    found: dict[str, float] = {}
    for values in named:
        for name, value in values.items():
            if len(found) + taken < limit:
                found.setdefault(name, value)
    return found
