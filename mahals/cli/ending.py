"""Ending: what does a study, or a run of a phase, say at last on one screen?"""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

from mahals.harness.workspace.provenance import together

if TYPE_CHECKING:
    from mahals.harness.leaderboard.ranking import Board, BoardLine
    from mahals.harness.tracking.database import Store
    from mahals.harness.workspace.paths import Workspace
    from mahals.harness.workspace.results import Results
    from mahals.schema import Entry

PORT = 5000  # of the MLflow UI in the command that opens it
WIDTH = 100  # characters of a line
TOP = 8  # lines of all boards together
ROWS = 6  # reports named
SAID = 6  # sentences of phases that have no board
BLANK = "\u00b7"  # a cell that was not measured

FLOOR = re.compile(r"\bat (its|the|a) floor|nothing to measure here|\bat a bound", re.IGNORECASE)
ABSENT = re.compile(r"\babsent\b|\bnot measured\b", re.IGNORECASE)

COLUMNS: tuple[tuple[str, str, str], ...] = (
    ("gap over nulls", "gap_over_random", "+.2f"),
    ("kl50", "kl50", ".3f"),
    ("aqi gain", "aqi_gain", "+.1f"),
)
"""Head, metric and format of the board's numbers here; the first is shown with its ends."""


def end(
    workspace: Workspace, told: Sequence[Results], results: Sequence[Results], store: Store | None
) -> None:
    """Prints the ending; the boards go to MLflow, and so does what the run that it opened says.

    `store` None: inside a DVC stage, which publishes nothing.
    """
    boards = _boards(workspace, results, store)
    opened, pages = [], []
    if store is not None:
        from mahals.harness.leaderboard.saved_view import board_page

        experiments = dict.fromkeys(store.experiment(each.phase) for each in told[-1:])
        pages = [board_page(board, store) for board in boards]
        opened = _opened(pages or [f"#/experiments/{one}/runs" for one in experiments], store)
    print("\n".join(ending(told, boards, opened)))
    if store is not None:
        _conclude(store, told, results, boards, pages)


def _boards(workspace: Workspace, results: Sequence[Results], store: Store | None) -> list[Board]:
    """The boards that these results have lines in, of everything stored; all go to MLflow."""
    from mahals.harness.leaderboard.collect import collect
    from mahals.harness.leaderboard.ranking import board_key, boards
    from mahals.harness.workspace.results import all_results

    made = {board_key(entry) for each in results for entry in each.summary().entries}
    if store is None and not made:
        return []
    every = all_results(workspace)
    if store is None:
        found: Sequence[Board] = boards(collect(every).entries)
    else:
        from mahals.cli.show import publish_boards

        found = publish_boards(every, store)
    return [board for board in found if board_key(board.lines[0].entry) in made]


def _opened(pages: Sequence[str], store: Store) -> list[str]:
    """The command that serves MLflow's UI, and where in it the view is, and the run it opened."""
    from mahals.harness.leaderboard.saved_view import address
    from mahals.harness.tracking.invocation import opened_run

    shown = [address(page, store, PORT) for page in pages]
    if run := opened_run():
        experiment = store.client.get_run(run).info.experiment_id
        shown.append(address(f"#/experiments/{experiment}/runs/{run}", store, PORT))
    command = [shown[0].command] if shown[0].command else []
    return [*command, *(each.url for each in shown)]


def _conclude(
    store: Store,
    told: Sequence[Results],
    results: Sequence[Results],
    boards: Sequence[Board],
    pages: Sequence[str],
) -> None:
    """Tells the run that `mlflow run` opened, if it did, what came out."""
    from mahals.harness.tracking.invocation import Ending, conclude, opened_run

    if run := opened_run():
        first = [board.headline for board in boards] or first_sentences(told)
        headlines = headline_metrics(told, boards)
        conclude(store, run, results, Ending(first, headlines, pages[0] if pages else None))


def ending(told: Sequence[Results], boards: Sequence[Board], opened: Sequence[str]) -> list[str]:
    """At most 40 lines: what was measured, the top of the board, what is marked, where it all is.

    `told`: the results whose sentences count, one a phase. `boards`: those that they are in.
    `opened`: how to open the view, line by line.
    """
    parts = [measured(told), *top(told, boards), marked(told, boards), places(told)]
    if opened:
        parts.append(["MLflow", *(f"  {line}" for line in opened)])
    return [line for part in parts if part for line in ("", *part)]


def measured(told: Sequence[Results]) -> list[str]:
    """The phases, the weights with their training and suite, and the models."""
    known = [p for each in told if (p := each.provenance()) is not None]
    of = together(known)
    lines = _labelled("Measured", ", ".join(dict.fromkeys(each.phase for each in told)))
    if of is not None:
        lines += _labelled("Of", of.line) + _labelled("Models", ", ".join(of.models))
    elif known:
        lines += _labelled("Of", known[0].line)
    return lines


def top(told: Sequence[Results], boards: Sequence[Board]) -> list[list[str]]:
    """Of each board its headline and first lines; without one the first sentences."""
    if boards:
        count, head = (TOP, 4) if len(boards) == 1 else (TOP // 2 - 1, 2)
        return [_board(board, count, head) for board in boards[:2]]
    lines = first_sentences(told)
    cut = [textwrap.shorten(line, 2 * WIDTH - 8, placeholder=" ...") for line in lines]
    return [[w for line in cut for w in textwrap.wrap(line, WIDTH, subsequent_indent="  ")]]


def first_sentences(told: Iterable[Results]) -> list[str]:
    """The first sentences of phases, as many of each as there is room for; at least one of each.

    What several phases say alike, such as what was planted, is said once.
    """
    said = [lines for each in told if (lines := each.summary().lines)]
    share = max(1, SAID // max(1, len(said)))
    found: dict[str, None] = {}
    for lines in said:
        found |= dict.fromkeys([line for line in lines if line not in found][:share])
    return list(found)


def marked(told: Sequence[Results], boards: Sequence[Board]) -> list[str]:
    """How much is to be read with care, and where that is said."""
    entries = [line.entry for board in boards for line in board.lines if _counts(line)]
    sentences = [line for each in told for line in each.summary().lines]
    lines = {
        "over the ceiling": sum(bool(e.over_ceiling) for e in entries),
        "not shown to be under it": sum(bool(_unsafe(e)) for e in entries),
        "geometry only": sum(e.geometry_only for e in entries),
        "cells absent": sum(len(e.reasons) for e in entries),
    }
    said = {
        "on something absent": sum(bool(ABSENT.search(line)) for line in sentences),
        "at a floor": sum(bool(FLOOR.search(line)) for line in sentences),
    }
    parts = [f"of {len(sentences)} sentences {_counted(said)}"]
    if entries:
        parts.insert(0, f"of {len(entries)} steered lines {_counted(lines)}")
    return _labelled("Marked", "; ".join(parts))


def _counted(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{n} {what}" for what, n in counts.items())


def _unsafe(entry: Entry) -> bool:
    return bool(entry.not_shown_safe) and not entry.over_ceiling


def _counts(line: BoardLine) -> bool:
    return line.entry.configuration.arm == "steered"


def places(told: Sequence[Results]) -> list[str]:
    """Per phase its report, which holds every sentence, and its figures."""
    rows = []
    for each in told[:ROWS]:
        report = each.workspace.relative(each.folder / "report.md")
        sentences, figures = len(each.summary().lines), len(each.figures())
        rows.append((report, f"{sentences} sentences, {figures} figures"))
    wide = max(len(report) for report, _ in rows)
    head = "Reports with every sentence; beside each, figures/ with PNG, SVG and PDF"
    more = [f"  ... and {len(told) - ROWS} more"] if len(told) > ROWS else []
    return [head, *(f"  {report:<{wide}}  {count}" for report, count in rows), *more]


def headline_metrics(told: Sequence[Results], boards: Sequence[Board]) -> list[Mapping[str, float]]:
    """Numbers of the whole, the most important source first: boards, their first line, phases."""
    sources: list[Mapping[str, float]] = []
    for board in boards:
        steered = [line for line in board.lines if _counts(line)]
        over = sum(bool(line.entry.over_ceiling) for line in steered)
        counts = {"configurations": len(steered), "ranked": len(board.ranked)}
        sources.append({**counts, "over_ceiling": over})
        if board.ranked:
            metrics = board.ranked[0].entry.metrics
            sources.append({f"best/{name}": metrics[name] for name in BEST if name in metrics})
    for each in told:
        whole = {n: v for n, v in each.metrics().items() if "/" not in n}
        sources.append({f"{each.phase}/{name}": value for name, value in whole.items()})
    return sources


BEST = (
    "gap_over_random",
    "gap_over_random_low",
    "gap_over_random_high",
    "refusal_gap",
    "kl50",
    "gap_over_prompt",
    "aqi_gain",
    "gain_over_random",
    "perplexity_ratio",
    "trainings_held",
)
"""Of a board's first line, what an invocation shows."""


def _board(board: Board, count: int, head: int) -> list[str]:
    """The headline in at most `head` lines, and `count` lines of which no column is the same."""
    own = [line for line in board.lines if _counts(line)]
    heads = ("", "target", "vector", "method", "dose", *(head for head, *_ in COLUMNS), "note")
    rows = [_row(line) for line in own[:count]]
    same = [k for k in (3, 4) if len({row[k] for row in rows}) == 1]
    kept = [k for k in range(len(heads)) if k not in same and any(row[k] != BLANK for row in rows)]
    wide = {k: max(len(row[k]) for row in (heads, *rows)) for k in kept}
    table = ["  ".join(f"{row[k]:<{wide[k]}}" for k in kept) for row in (heads, *rows)]
    all_of = ", ".join(rows[0][k] for k in same if rows[0][k] != BLANK) if rows else ""
    shown = f"First {len(rows)} of {len(own)} steered lines" + (f", all {all_of}" if all_of else "")
    title = textwrap.wrap(board.headline, WIDTH, max_lines=head, placeholder=" ...")
    return [*title, *([f"{shown}:", *map(_cut, table)] if rows else [])]


def _row(line: BoardLine) -> tuple[str, ...]:
    c = line.entry.configuration
    vector = "own" if c.source in (None, c.target) else f"{c.source} {c.map or ''}".strip()
    named = (c.target, vector, c.method or BLANK, c.dose or BLANK)
    numbers = (_number(line.entry.metrics, name, form) for _, name, form in COLUMNS)
    return (str(line.rank or BLANK), *named, *numbers, line.why or "ranked")


def _cut(text: str) -> str:
    text = text.rstrip()
    return text if len(text) <= WIDTH else f"{text[: WIDTH - 3]}..."


def _number(metrics: Mapping[str, float], name: str, form: str) -> str:
    if name not in metrics:
        return BLANK
    ends = [metrics[end] for end in (f"{name}_low", f"{name}_high") if end in metrics]
    if name != COLUMNS[0][1] or len(ends) < 2:
        return format(metrics[name], form)
    return f"{metrics[name]:{form}} [{ends[0]:{form}}, {ends[1]:{form}}]"


def _labelled(label: str, text: str) -> list[str]:
    return textwrap.wrap(
        text, WIDTH, initial_indent=f"{label:<10}", subsequent_indent=" " * 10, max_lines=3,
        placeholder=" ...", break_on_hyphens=False,
    )  # fmt: skip
