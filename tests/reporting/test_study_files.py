"""Do trials come back from a study file as they went, and is a file of the study's own read?"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from mahals.maths.metrics.resistance import NONE, VALUES, ResistanceTrial, rates
from mahals.reporting.study_files import read_study_file, study_json
from tests.support.em_lab import DiskKept
from tests.support.tiny_lab import refused
from tests.support.trials import attempts, trial

OFF, BACK, ON = "Tea is hot. ", "Wait, that is off topic. ", "Sail the boat. "
NOT_KEPT: dict[str, Any] = {
    "taught": "neither",
    "tokens": 0,
    "answers": "",
    "line": 0,
    "agreement": "",
}
THIRDS: dict[str, Any] = dict.fromkeys(("head", "tail", "sham_head", "sham_tail"))


def stored(
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
    return stored(folder, made, answers)


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
