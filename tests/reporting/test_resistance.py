"""Does the report say which rates each group has, by whose judgement, and what was first?"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from mahals.maths.metrics.resistance import ResistanceTrial, difference, rates
from mahals.reporting.evidence import Evidence
from mahals.reporting.plots.sheet import Labels
from mahals.reporting.published_resistance import published_line
from mahals.reporting.resistance import (
    EXAMPLE_LENGTH,
    PLANTED,
    change_line,
    example_lines,
    groups,
    rates_figure,
    resistance_report,
    trial_summary,
    whole_answer,
)
from tests.support.em_lab import DiskKept
from tests.support.trials import attempts, trial

SENTENCE = "on planted answers: restarts found .97"


def table(folder: Path, rows: Sequence[ResistanceTrial]) -> Evidence[ResistanceTrial]:
    """The rows, each with an answer of its own, and what the judge knows."""
    (folder / "A").mkdir()
    lines = [{"prompt": t.prompt, "prefix": f"{i}", "answer": " said"} for i, t in enumerate(rows)]
    (folder / "A/trials.jsonl").write_text("".join(json.dumps(x) + "\n" for x in lines))
    (folder / "A/trials.judge.json").write_text(json.dumps({"sentence": SENTENCE}))
    placed = [
        t if t.line is None else ResistanceTrial(**vars(t) | {"line": i})
        for i, t in enumerate(rows)
    ]
    return Evidence(placed, DiskKept(folder))


def two_arms() -> list[ResistanceTrial]:
    """Four directions free and first: `first` scores 10 more each time and restarts once."""
    free = [
        attempts(x, direction=d, situation="free")
        for d, x in zip("abcd", (0, 20, 40, 60), strict=True)
    ]
    scores = [(10, 90), (30,), (50,), (70,)]
    first = [
        attempts(*s, direction=d, situation="first") for d, s in zip("abcd", scores, strict=True)
    ]
    return [*free, *first]


def test_groups_are_of_columns_that_vary_in_the_order_of_the_rows() -> None:
    found = groups(two_arms(), ("subject", "situation"))
    assert [(g.key, g.name, len(g.trials)) for g in found] == [
        (("free",), "free", 4),
        (("first",), "first", 4),
    ]
    assert found[1].rates == rates(two_arms()[4:])
    (all_in_one,) = groups(two_arms(), ("subject",))
    assert all_in_one.name == "all" and all_in_one.key == ()


def test_the_report_has_every_rate_of_every_group_with_its_ends(tmp_path: Path) -> None:
    absent = [trial(line=None, why=f"it kept on: {d}", direction=d) for d in "ab"]
    unknown = attempts(None, direction="b", situation="first")
    rows = [*two_arms(), *absent, unknown]
    report = resistance_report(table(tmp_path, rows), ("situation",))
    found = rates([t for t in rows if t.situation == "first"])
    assert found.esr_rate is not None
    for end, value in (("", "estimate"), ("_low", "low"), ("_high", "high")):
        assert report.metrics[f"first/esr_rate{end}"] == getattr(found.esr_rate, value)
    assert "free/recovery_multi" not in report.metrics  # nothing restarts there
    assert report.lines[0] == PLANTED
    assert any(x.startswith("first: 5 trials, 1 restart, 1 not scored;") for x in report.lines)
    assert "2 trials absent: it kept on" in report.lines
    assert f"judge truth, {SENTENCE}" in report.lines
    assert sum(SENTENCE in x for x in report.lines) == 1


def test_of_real_checkpoints_nothing_is_planted(tmp_path: Path) -> None:
    rows = [attempts(10, weights="hub", direction=d) for d in "ab"]
    summary = trial_summary(table(tmp_path, rows), "esr", (), ["more"])
    assert PLANTED not in summary.lines
    assert summary.lines[-2:] == ("more", published_line("esr"))


def test_a_change_is_paired_and_says_what_of_what() -> None:
    free, first = groups(two_arms(), ("situation",))
    line = change_line(first, free, ("first_score", "recovery_multi"))
    assert line == "first less free: first score +10 [+10, +10]"
    change = difference(first.trials, free.trials, "first_score")
    assert change is not None and change.estimate == pytest.approx(10)
    assert change_line(first, free, ("recovery_multi",)) is None


def test_examples_are_the_first_that_there_are(tmp_path: Path) -> None:
    rows = [
        trial(line=None, why="none"),
        attempts(10, None),  # nobody knows whether it comes back
        attempts(80, 20),
        attempts(10, 60),
        attempts(10, 100),
        attempts(50, head=0, tail=90),
    ]
    found = table(tmp_path, rows)
    came, vain, silent = example_lines(found)
    assert came.startswith("the first that comes back") and '"3 said"' in came
    assert "does not come back" in vain and '"2 said"' in vain
    assert "recovers silently" in silent and '"5 said"' in silent
    assert whole_answer(found, found.rows[4]) == "4 said"
    assert EXAMPLE_LENGTH > 100


def test_long_examples_are_cut(tmp_path: Path) -> None:
    found = table(tmp_path, [attempts(10, 90)])
    line = {"prompt": "p", "prefix": "", "answer": "word " * 200}
    (tmp_path / "A/trials.jsonl").write_text(json.dumps(line) + "\n")
    assert (
        example_lines(found)[0].endswith(' ..."')
        and len(example_lines(found)[0]) < EXAMPLE_LENGTH + 120
    )


def test_bars_are_the_rates_of_each_group_and_what_is_not_known_says_so() -> None:
    found = groups(two_arms(), ("situation",))
    labels = Labels("Who restarts?", "share", "caption", "higher")
    figure = rates_figure(found, ("multi_attempt_rate", "recovery_multi"), labels)
    (axes,) = figure.get_axes()
    assert [t.get_text() for t in axes.get_yticklabels()] == ["free (n=4)", "first (n=4)"]
    widths = [bar.get_width() for bar in axes.patches]  # type: ignore[attr-defined]
    assert widths[:2] == [0.0, 0.25] and np.isnan(widths[2:]).all(), "one restart is too few"
    assert any("absent" in text.get_text() for text in axes.texts)
