"""Kept answers: are the arms' answers to a prompt printed beside each other, and others refused?"""

from __future__ import annotations

from pathlib import Path

import pytest

from mahals.cli import main
from mahals.harness.workspace.paths import Workspace
from tests.support.kept_answers import HELP, REFUSALS, TEXTS, UNIT
from tests.support.synthetic_results import Made, write_results


def lines(shown: pytest.CaptureFixture[str]) -> list[str]:
    return shown.readouterr().out.splitlines()


def test_the_arms_are_printed_one_below_the_other(
    answered: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["show", "same_arch", UNIT, "--prompt", "3"]) == 0
    head, text, _, heads, _, *rest = lines(capsys)
    assert head.startswith(f"same_arch {UNIT} (results/same_arch/{UNIT}), prompt 3, unsafe, Duty")
    assert text.strip() == TEXTS[3]
    assert heads.split() == ["arm", "dose", "verdict", "answer"]
    arms = rest[: rest.index("")]
    kinds = ["unsteered", "steered", "prompt", "random", "aligned"]
    assert [line.split()[0] for line in arms] == kinds
    assert [("refused" in line, REFUSALS[0] in line) for line in arms] == [
        (kind in ("steered", "aligned"),) * 2 for kind in kinds
    ]
    assert "kl=0.1" in arms[1] and "draw 0" in arms[3]
    assert "1 more random draws: --arm random" in rest


def test_doses_and_arms_are_filtered(answered: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["show", "same_arch", UNIT, "--prompt", "9"]
    assert main([*words, "--dose", "0.2", "--arm", "steered"]) == 0
    (line,) = [one for one in lines(capsys) if one.startswith("steered")]
    assert "kl=0.2" in line and "broken" in line
    assert main([*words, "--dose", "all", "--arm", "steered", "--arm", "random"]) == 0
    found = [one.split()[0] for one in lines(capsys) if "kl=" in one]
    assert found == ["steered"] * 3 + ["random"] * 2
    for wrong, part in (
        (["--dose", "0.3"], "expected one of all, kl=0.05, kl=0.1, kl=0.2"),
        (["--dose", "lambda=0.1"], "unknown dose"),
        (["--arm", "sterred"], "did you mean 'steered'"),
    ):
        assert main([*words, *wrong]) == 2
        shown = capsys.readouterr()
        assert part in shown.err and shown.out == ""


def test_a_prompt_is_found_by_its_words_and_an_unknown_one_is_refused_by_name(
    answered: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["show", "same_arch", UNIT, "--prompt", "Rescue of voters"]) == 0
    assert "prompt 9" in lines(capsys)[0]
    assert main(["show", "same_arch", UNIT, "--prompt", "abuse"]) == 0
    found = lines(capsys)
    assert "prompt 3" in found[0] and found[-1].endswith("--prompt 5")
    for wrong in ("4", "rescue of nobody"):
        assert main(["show", "same_arch", UNIT, "--prompt", wrong]) == 2
        error = capsys.readouterr().err
        assert f"unknown prompt '{wrong}'" in error and "0, 3, 5, 9" in error


def test_without_a_prompt_some_are_listed(
    answered: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["show", "same_arch", UNIT]) == 0
    _, _, heads, _, *rest = lines(capsys)
    named = ["number", "kind", "axiom", "text", "unsteered", "steered", "prompt", "random"]
    assert heads.split() == [*named, "aligned"]
    listed = [line.split() for line in rest[: rest.index("")]]
    assert [(line[0], line[1]) for line in listed] == [("0", "safe"), ("3", "unsafe")]
    assert listed[1][-5:] == ["answered", "refused", "answered", "answered", "refused"]
    assert "4 prompts were answered" in rest[-1]


def test_what_has_no_answers_is_refused_with_the_cure(
    answered: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_results(Workspace(answered), Made(phase="baseline_aqi", unit=UNIT))
    for words, part in (
        (["same_arc", UNIT], "did you mean 'same_arch'"),
        (["same_arch", "Mistral"], f"did you mean '{UNIT}'"),
        (["baseline_aqi", UNIT], "got results that keep none of arms"),
        (["cross_arch", UNIT], "got no results"),
    ):
        assert main(["show", *words]) == 2
        error = capsys.readouterr().err
        assert part in error and error.count("\n") == 1


def test_an_answer_of_many_lines_stays_in_one(
    answered: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert "\n" in HELP
    assert main(["show", "same_arch", UNIT, "--prompt", "0", "--arm", "unsteered"]) == 0
    (line,) = [one for one in lines(capsys) if one.startswith("unsteered")]
    assert " ".join(line.split()) == f"unsteered answered {' '.join(HELP.split())}"
