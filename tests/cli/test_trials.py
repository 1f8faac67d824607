"""Are a phase's trials written to a study file, and are the rates of such a file printed?"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import pytest

from mahals.cli import main
from mahals.harness.workspace.paths import Workspace
from mahals.harness.workspace.results import Results
from mahals.maths.metrics.resistance import ResistanceTrial, rates
from mahals.reporting.resistance import SHORT, rates_text
from tests.support.synthetic_results import Made, write_results
from tests.support.trials import attempts

UNIT = "Llama3_8B"
SCORES = {"a": (0, 90), "b": (10, 60), "c": (50, 20)}


def trials_of(unit: str, situations: Sequence[str] = ("free", "first")) -> list[ResistanceTrial]:
    """A trial of two attempts along each direction, first in one situation and then in another."""
    pairs = [(s, d) for s in situations for d in SCORES]
    return [
        attempts(
            *SCORES[d], direction=d, situation=s, line=i, answers=f"{unit}/trials.jsonl", model=unit
        )
        for i, (s, d) in enumerate(pairs)
    ]


@pytest.fixture
def stored(small: Path, monkeypatch: pytest.MonkeyPatch) -> list[ResistanceTrial]:
    """Trials of esr, canonical, and older ones that are not; the current folder is theirs."""
    rows = trials_of(UNIT)
    lines = [{"prompt": t.prompt, "prefix": "", "answer": "0123456789abcdef"} for t in rows]
    kept = {"trials.jsonl": "".join(json.dumps(x) + "\n" for x in lines).encode()}
    made = {True: rows, False: []}
    monkeypatch.setattr(Results, "rows", lambda self: tuple(made[self.is_canonical]))
    for canonical in made:
        one = Made(phase="esr", unit=UNIT, kept=kept, canonical=canonical)
        write_results(Workspace(small), one)
    return rows


def test_trials_go_to_a_file_and_their_rates_come_from_it(
    stored: list[ResistanceTrial], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "trials.json"
    assert main(["export", f"esr/{UNIT}", str(out)]) == 0
    assert capsys.readouterr().out == f"wrote {out}: {len(stored)} trials of esr {UNIT}\n"
    told = json.loads(out.read_text())
    assert told["experiment_config"]["model_name"] == UNIT
    assert sum(len(f["trials"]) for f in told["results_by_feature"]) == len(stored)
    assert main(["trials", str(out)]) == 0
    whole, *groups, published = capsys.readouterr().out.splitlines()
    told_rates = [n for n in SHORT if n in ("multi_attempt_rate", "esr_rate", "first_score")]
    for part in rates_text(rates(stored), told_rates).partition("; ")[2].split("], "):
        assert part in whole
    assert [g.strip().partition(":")[0] for g in groups] == ["free", "first"]
    assert published.startswith("published (") and "4877" in published


def test_broken_text_is_told_of_a_file_that_knows_it(
    stored: list[ResistanceTrial], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "trials.json"
    for broken in (False, True):
        stored[0] = attempts(0, 0, degenerate=broken, line=0, answers=f"{UNIT}/trials.jsonl")
        assert main(["export", f"esr/{UNIT}", str(out)]) == 0
        assert main(["trials", str(out)]) == 0
        assert (SHORT["degenerate_share"] in capsys.readouterr().out) == broken


@pytest.mark.parametrize(
    ("words", "part"),
    [
        (["export", f"esr_saes/{UNIT}", "x.json"], "name esr, esr_boost"),
        (["export", "esr/Mistral_7B", "x.json"], "mahals run esr --unit Mistral_7B"),
        (["trials", "no.json"], "study file no.json"),
    ],
)
def test_what_has_no_trials_is_refused_with_the_cure(
    words: list[str], part: str, stored: list[ResistanceTrial], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(words) == 2
    shown = capsys.readouterr()
    assert part in shown.err and shown.out == "" and shown.err.count("\n") == 1
