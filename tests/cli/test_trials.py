"""Do trials come back from a study file as they went, and are the rates of such a file printed?"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from mahals.cli import main
from mahals.cli.trials import read_study_file, study_json
from mahals.harness.workspace.paths import Workspace
from mahals.harness.workspace.results import Results
from mahals.maths.metrics.resistance import NONE, VALUES, ResistanceTrial, rates
from mahals.reporting.resistance import SHORT, rates_text
from tests.support.em_lab import DiskKept
from tests.support.synthetic_results import Made, write_results
from tests.support.tiny_lab import refused
from tests.support.trials import attempts, trial

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


def test_absent_trials_are_counted_and_not_among_what_is_written(
    stored: list[ResistanceTrial], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    stored[:2] = [replace(t, line=None, why="no", starts=(), scores=()) for t in stored[:2]]
    out, made = tmp_path / "trials.json", len(stored) - 2
    assert main(["export", f"esr/{UNIT}", str(out)]) == 0
    told = f"wrote {out}: {made} trials of esr {UNIT}; 2 absent ones are not in it\n"
    assert capsys.readouterr().out == told
    assert sum(len(f["trials"]) for f in json.loads(out.read_text())["results_by_feature"]) == made


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


OFF, BACK, ON = "Tea is hot. ", "Wait, that is off topic. ", "Sail the boat. "
NOT_KEPT: dict[str, Any] = {
    "taught": "neither",
    "tokens": 0,
    "answers": "",
    "line": 0,
    "agreement": "",
}
THIRDS: dict[str, Any] = dict.fromkeys(("head", "tail", "sham_head", "sham_tail"))


def kept_trials(
    folder: Path, trials: Sequence[ResistanceTrial], answers: Sequence[tuple[str, str]]
) -> list[ResistanceTrial]:
    """The trials with answers of a prefix and what was written, kept."""
    (folder / "A").mkdir()
    lines = [{"prompt": "p", "prefix": p, "answer": a} for p, a in answers]
    (folder / "A/trials.jsonl").write_text("".join(json.dumps(x) + "\n" for x in lines))
    return [replace(t, line=None if t.why else i) for i, t in enumerate(trials)]


def several(folder: Path) -> list[ResistanceTrial]:
    """Trials that differ in every column that a study file has a place for."""
    begun, twice = OFF + BACK, (0, len(OFF))
    made = [
        trial(starts=twice, scores=(0, 90)),
        trial(starts=twice, scores=(0, None), seed=1),
        trial(starts=(0,), scores=(0,), degenerate=True, prompt="q"),
        trial(starts=twice, scores=(0, 80), prefix=len(begun), situation="restarted"),
        trial(starts=(0,), scores=(70,), situation="passage", boost=0, subject="planted"),
        trial(starts=(0,), scores=(60,), direction="latent:tea", source="latent", level=-0.5),
        trial(starts=(0,), scores=(60,), direction="random:0", source="random", concept=NONE),
        trial(starts=(0,), scores=(60,), direction="random:1", source="random", concept=NONE),
        trial(starts=(0,), scores=(5,), ablated="uniform-0", variant="focus", weights="hub"),
        trial(line=None, starts=(), scores=(), why="no"),
    ]
    whole = OFF + BACK + ON
    answers = [("", whole)] * 3 + [(begun, ON)] + [("", ON)] * 6
    return kept_trials(folder, made, answers)


def back(folder: Path, text: str) -> list[ResistanceTrial]:
    (folder / "file.json").write_text(text)
    return read_study_file(folder / "file.json")


def test_trials_come_back_as_they_went(tmp_path: Path) -> None:
    went = several(tmp_path)
    came = back(tmp_path, study_json(went, DiskKept(tmp_path)))
    made = [replace(t, **NOT_KEPT) for t in went if t.why is None]
    assert sorted((replace(t, **NOT_KEPT) for t in came), key=str) == sorted(made, key=str)


def test_rates_and_intervals_are_the_same(tmp_path: Path) -> None:
    """But for absent trials, which are not written, and for thirds of answers, nor are they."""
    went = several(tmp_path)
    came = rates(back(tmp_path, study_json(went, DiskKept(tmp_path))))
    plain = rates([replace(t, **THIRDS) for t in went])
    assert came == replace(plain, absent=0)
    assert came.multi_attempt_rate is not None and came.multi_attempt_rate.estimate == 2 / 9


def published(**feature: Any) -> dict[str, Any]:
    """The form of the study's files: what a judge quotes has lost the white space around it."""

    def told(*given: tuple[str, float]) -> dict[str, Any]:
        return {"raw_response": "", "attempts": [{"attempt_text": a, "score": s} for a, s in given]}

    text = f" \n{OFF}{BACK}{ON}"
    about = {
        "feature_index_in_sae": 0,
        "feature_label": "Tea drinkers",
        "threshold": 1.88,
    } | feature
    answers = [
        ("How?", 7, text, told((OFF.strip(), 5), (BACK + ON.strip(), 85)), None),
        ("Why?", 8, OFF, told((OFF, 5)), None),
        ("What?", 9, OFF, {"error": "refused", **told((OFF, 5))}, "refused"),
    ]
    names = ("prompt", "seed", "response", "score", "error")
    trials = [about | dict(zip(names, answer, strict=True)) for answer in answers]
    config = {"model_name": "meta-llama/X", "judge_model_name": "claude", "labels_file": None}
    failed = {"feature_index_in_sae": 9, "feature_label": "z", "threshold": None, "trials": []}
    return {
        "experiment_config": config,
        "results_by_feature": [{**about, "trials": trials}, failed],
    }


def test_a_file_of_the_studys_own(tmp_path: Path) -> None:
    data = published()
    data["results_by_feature"] += published(feature_index_in_sae=3)["results_by_feature"]
    found = back(tmp_path, json.dumps(data))
    assert [t.direction for t in found] == ["0"] * 3 + ["3"] * 3
    first, second, failed, *_ = found
    assert (first.concept, first.boost, first.seed) == ("Tea drinkers", 1.88, 7)
    assert (first.model, first.judge, first.weights) == ("meta-llama/X", "claude", "hub")
    assert first.starts == (0, 2 + len(OFF)) and first.scores == (5.0, 85.0)
    assert first.restarted and not second.restarted
    assert failed.line is None and failed.why == "refused"
    data["results_by_feature"][0]["trials"][1]["score"] = None
    assert back(tmp_path, json.dumps(data))[1].why == "not scored"
    counted = rates(found)
    assert (counted.n, counted.absent, counted.episodes) == (4, 2, 2)
    assert counted.esr_rate is not None and counted.esr_rate.estimate == 0.5
    assert set(VALUES) - {n for n in VALUES if getattr(counted, n)} == {
        "silent_recovery", "sham_improvement",
    }  # fmt: skip


@pytest.mark.parametrize("quoted", [("nothing of it", 50), ("", 50)])
def test_an_attempt_that_is_not_in_the_answer_is_still_one(
    quoted: tuple[str, float], tmp_path: Path
) -> None:
    data = published()
    told = data["results_by_feature"][0]["trials"][0]["score"]["attempts"]
    told[1] = dict(zip(("attempt_text", "score"), quoted, strict=True))
    (first, *_) = back(tmp_path, json.dumps(data))
    assert len(first.starts) == 2 and first.restarted and first.improvement == 45


def test_attempts_that_begin_alike_are_apart(tmp_path: Path) -> None:
    data, alike = published(), "Again: sail. "
    one = data["results_by_feature"][0]["trials"][0]
    one["response"] = alike * 3
    one["score"]["attempts"] = [{"attempt_text": alike, "score": s} for s in (1, 2, 3)]
    assert back(tmp_path, json.dumps(data))[0].starts == tuple(len(alike) * k for k in range(3))


@pytest.mark.parametrize("text", ["{", "[]", "{}", '{"experiment_config": {}}', "null"])
def test_another_form_is_refused_by_name(text: str, tmp_path: Path) -> None:
    error = refused(lambda: back(tmp_path, text))
    assert "study file file.json" in str(error) and "mahals export" in str(error)
    assert "no.json" in str(refused(lambda: read_study_file(tmp_path / "no.json")))


def test_of_no_trials_there_is_a_file(tmp_path: Path) -> None:
    assert back(tmp_path, study_json([], DiskKept(tmp_path))) == []
    told = json.loads(study_json([attempts(1, line=None, why="no")], DiskKept(tmp_path)))
    assert told["results_by_feature"] == [] and told["experiment_config"]["model_name"] == "A"
