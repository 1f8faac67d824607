"""Ending: does the end of a study fit one screen, and say what, how good, how sure and where?"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from mahals.cli.ending import WIDTH, ending, first_sentences, headline_metrics, marked
from mahals.harness.leaderboard.ranking import Board, BoardLine, Status
from mahals.harness.workspace.provenance import Provenance
from mahals.harness.workspace.results import Results
from mahals.records import to_plain
from mahals.schema import Entry
from tests.support.synthetic_results import MODELS, SUITE, Made, entry, steered, workspace
from tests.support.synthetic_results import write_results as write

PHASES = ("datasets", "organisms", "baseline_aqi", "steering_vectors", "same_arch", "cross_arch")
LINES = 40
HEADLINE = "3 of 90 configurations beat both null families under the ceiling. " + "Best: one. " * 30


def line(number: int, status: Status, **changes: object) -> BoardLine:
    target = MODELS[number % 6]
    configuration = steered(target, source=MODELS[number % 5], map="ridge", layers=(number,))
    made: Entry = replace(entry(configuration, 3.0), **changes)  # type: ignore[arg-type]
    gap = {"gap_over_random": 0.5, "gap_over_random_low": 0.25, "gap_over_random_high": 0.75}
    made = replace(made, metrics={**made.metrics, **gap, "kl50": 0.031}, reasons={"kl50": "none"})
    rank = number + 1 if status == "ranked" else None
    why = "" if rank else f"{status}: perplexity_ratio and a long explanation of that"
    return BoardLine(made, 0.01, rank, status, why)


def board(count: int) -> Board:
    lines = [line(i, "ranked") for i in range(3)]
    lines += [line(i, "over ceiling", over_ceiling=("kl",)) for i in range(3, 5)]
    lines += [line(i, "not beyond random", not_shown_safe=("kl",)) for i in range(5, count)]
    reference = replace(steered(), arm="unsteered", source=None)
    lines.append(
        BoardLine(entry(reference, None), None, None, "organiser", "organisers' reference")
    )
    return Board(SUITE, "organism", 0, HEADLINE, tuple(lines))


@pytest.fixture
def told(tmp_path: Path) -> list[Results]:
    """The gathers of a study with 100 long sentences a phase."""
    place, made = workspace(tmp_path), []
    of = to_plain(Provenance("organism", (0,), (SUITE,), MODELS))
    for phase in PHASES:
        results = write(place, Made(phase=phase, unit="study"))
        path = results.folder / "summary.json"
        summary = json.loads(path.read_text())
        summary["summary"]["lines"] = [
            f"{MODELS[i % 6]}: {phase} found {'very ' * 60}much [+0.1, +0.9]" for i in range(99)
        ] + ["Qwen2_7B: aqi -0.2 [-0.7, 0.3], AT its floor (highest floor tfidf -0.9)"]
        path.write_text(json.dumps({**summary, "provenance": of}))
        made.append(results)
    return made


OPENED = [
    "mlflow ui --backend-store-uri sqlite:////x/mlflow.db --port 5000",
    "http://127.0.0.1/#/a",
]


def test_a_study_ends_on_one_screen(told: Sequence[Results]) -> None:
    lines = ending(told, [board(90)], OPENED)
    text = "\n".join(lines)
    assert len(text.splitlines()) <= LINES
    assert all(len(each) <= WIDTH for each in lines if "mlflow" not in each)
    of = "organism weights, training seed 0 (a declared positive control); suite core-1 3f9a2c1d"
    for words in (of, ", ".join(PHASES), ", ".join(MODELS), "3 of 90 configurations", *OPENED):
        assert words in text
    for phase in PHASES:
        assert re.search(rf"results/{phase}/study/report\.md +100 sentences, 1 figures", text)
    rows = [each for each in lines if re.match(r"[123\u00b7] +[A-Z]\w+_", each)]
    assert len(rows) == 8 and "+0.50 [+0.25, +0.75]" in rows[0] and "0.031" in rows[0]
    assert "First 8 of 90 steered lines, all mean_difference, kl=0.1:" in text
    assert "unsteered" not in text


def test_what_is_marked_is_counted(told: Sequence[Results]) -> None:
    text = " ".join(" ".join(marked(told, [board(90)])).split())
    assert text == (
        "Marked of 90 steered lines 2 over the ceiling, 85 not shown to be under it, "
        "0 geometry only, 90 cells absent; of 600 sentences 0 on something absent, 6 at a floor"
    )
    alone = " ".join(" ".join(marked(told[:1], [])).split())
    assert alone == "Marked of 100 sentences 0 on something absent, 1 at a floor"


@pytest.mark.parametrize("count", [1, 6])
def test_phases_without_a_board_end_with_their_first_sentences(
    told: Sequence[Results], count: int
) -> None:
    lines = ending(told[:count], [], OPENED)
    assert len("\n".join(lines).splitlines()) <= LINES
    said = [each for each in lines if " found " in each]
    assert len(said) == 6 and {each.split()[1] for each in said} == set(PHASES[:count])
    assert all(len(each) <= WIDTH for each in lines if "mlflow" not in each)


def test_what_phases_say_alike_is_said_once() -> None:
    both = [("planted: refusals", f"{name} found 1") for name in ("one", "other")]
    told: Any = [SimpleNamespace(summary=lambda x=x: SimpleNamespace(lines=x)) for x in both] * 6
    assert first_sentences(told) == ["planted: refusals", "other found 1", "one found 1"]


def test_two_boards_and_twelve_phases_still_fit(told: Sequence[Results]) -> None:
    both = [board(90), replace(board(90), weights="hub")]
    assert len(ending([*told, *told], both, OPENED)) <= LINES


def test_headlines_are_of_the_board_then_of_its_first_line_then_of_phases(
    told: Sequence[Results],
) -> None:
    first, second, *phases = headline_metrics(told, [board(90)])
    assert first == {"configurations": 90, "ranked": 3, "over_ceiling": 2}
    assert second["best/gap_over_random_low"] == 0.25 and second["best/kl50"] == 0.031
    assert phases[0] == {"datasets/aqi": 21.5, "datasets/aqi_gain": 2.5}
