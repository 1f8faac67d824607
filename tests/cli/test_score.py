"""Scores of kept answers: does another judge's word stand beside the stored one, alone?"""

from __future__ import annotations

import json
from collections.abc import Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from mahals.cli import main
from mahals.harness.workspace.results import Results
from mahals.models.judges.judge import QuestionAnswer, Refusal
from tests.support.kept_answers import UNIT, answered_rows
from tests.support.tiny_models import fresh


def hashes(root: Path) -> dict[str, str]:
    return {
        str(p): sha256(p.read_bytes()).hexdigest()
        for p in sorted((root / "results").rglob("*"))
        if p.is_file()
    }


def scored(root: Path, judge: str) -> list[dict[str, Any]]:
    path = root / ".mahals/scores/same_arch" / UNIT / f"{judge}.jsonl"
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


@pytest.mark.parametrize("judge", ["lexical", "truth"])
def test_answers_are_judged_anew_and_no_result_is_changed(
    judge: str, answered: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = hashes(answered)
    assert main(["score", "same_arch", UNIT, "--judge", judge, "--dose", "all"]) == 0
    out = capsys.readouterr().out
    assert f"wrote .mahals/scores/same_arch/{UNIT}/{judge}.jsonl" in out
    assert hashes(answered) == before
    rows, answers = answered_rows()
    found = scored(answered, judge)
    assert len(found) == len(answers)
    for line, answer in zip(found, answers, strict=True):
        expected = None if answer.degenerate else "cannot help" in answer.answer
        assert line["refused"] is expected and line["stored"] is answer.known
        assert (line["arm"], line["prompt"]) == (answer.arm, answer.prompt)
    plain = [" ".join(line.split()) for line in out.splitlines()]
    (line,) = [line for line in plain if line.startswith(f"the judge {judge} on refusals")]
    assert "agreement 1.000" in line and "on n=63; 0 of 63 without" in line
    arms = [line for line in plain if line.startswith(("unsteered", "steered"))]
    assert len(arms) == 4 and len(rows) == 8
    assert "0.00 0.00 +0.00 [" in arms[0]
    assert arms[2].count("1.00 0.00 +1.00 [") == 2, "as stored, and by the judge"
    assert arms[3].count("0.50 1.00 -0.50 [") == 2, "a broken answer is the failure"


def test_an_abstention_is_counted_and_never_a_no(
    answered: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[QuestionAnswer] = []

    def unsure(asked: Sequence[QuestionAnswer]) -> list[Refusal]:
        seen.extend(asked)
        if len(asked) > 60:
            return [Refusal(None, "not told")] * len(asked)  # of the labelled answers
        return [
            Refusal(None, "not told") if "abuse of voters" in a.question else Refusal("full", None)
            for a in asked
        ]

    monkeypatch.setattr("mahals.models.judges.server.server_refusal_judge", lambda *_: unsure)
    words = ["score", "same_arch", UNIT, "--judge", "openai", "--model", "big/judge 1"]
    assert main([*words, "--url", "http://x/v1"]) == 0
    out = capsys.readouterr().out
    mine, labelled = seen[:6], seen[6:]
    assert len(set(mine)) == 6 and len(labelled) == 63, (
        "each text is judged once, a broken one never"
    )
    assert "63 of 63 without a verdict" in out
    found = scored(answered, "openai-big-judge-1")
    assert {line["refused"] for line in found if line["prompt"] == 3} == {None}
    assert {line["why"] for line in found if line["prompt"] == 3} == {"not told"}
    (line,) = [one for one in out.splitlines() if one.startswith("aligned")]
    assert "1.00 1.00 +0.00 [" in " ".join(line.split()) and line.split()[-1] == "1"


def test_a_checkpoint_in_a_folder_can_judge(
    answered: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    one = fresh("Llama", 3)
    one.model.config.max_position_embeddings = 4096
    folder = tmp_path / "judge"
    one.model.save_pretrained(folder)
    one.tokenizer.save_pretrained(folder)
    words = ["score", "same_arch", UNIT, "--judge", "model", "--model", str(folder)]
    assert main([*words, "--arm", "aligned"]) == 0
    (line,) = [o for o in capsys.readouterr().out.splitlines() if o.startswith("aligned")]
    assert line.split()[-1] == "4", "random weights say no digit: four abstentions"
    assert "none" in line and "no answers" in line


def test_a_judge_that_cannot_know_is_refused_by_name(
    answered: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = Results.run
    monkeypatch.setattr(Results, "run", lambda self: {**plain(self), "weights": "hub"})
    for words, part in (
        (["--judge", "truth"], "name the judge rules, lexical"),
        (["--judge", "lexial"], "did you mean 'lexical'"),
        (["--judge", "model"], "--model KEY"),
        (["--judge", "model", "--model", "Mistrl_7B"], "did you mean 'Mistral_7B'"),
    ):
        assert main(["score", "same_arch", UNIT, *words]) == 2
        error = capsys.readouterr().err
        assert part in error and error.count("\n") == 1
    assert not (answered / ".mahals/scores").exists()


def test_all_units_with_answers_are_judged_where_none_is_named(
    answered: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["score", "same_arch", "--judge", "lexical"]) == 0
    out = capsys.readouterr().out
    assert out.count("no result was changed") == 1 and f"same_arch {UNIT}:" in out
    assert main(["score", "cross_arch", "--judge", "lexical"]) == 2
    assert "cross_arch" in capsys.readouterr().err
