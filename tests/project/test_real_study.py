"""Is each number that is told of the real study one that was measured, under its own model?"""

from __future__ import annotations

import re
from types import SimpleNamespace
from typing import Any

import pytest

from docs import real_study
from docs.real_lines import ABSENT, LINES, WAITING, Line
from docs.real_study import RealStudy, block, read, taken
from mahals.phase import STUDY
from mahals.records import InputError

NUMBER = re.compile(r"[+\u2212]?\d+\.\d+|(?<![\w.])\d+(?![\w.])")
MADE = {"commit": "0", "torch": "2", "transformers": "5", "on": "a CPU"}


def gather(phase: str, finished: str, metrics: dict[str, float], **changes: Any) -> Any:
    """The results of a phase over two models, as far as the study is taken from them."""
    run = {
        "finished": finished,
        "gather": True,
        "weights": "hub",
        "models": ["A", "B"],
        "commit": "c" * 40,
        "versions": {"torch": "2", "transformers": "5"},
        "ran_on": [],
        "inputs": {"units": dict.fromkeys(changes.get("models", ["A", "B"]), "unit")},
        **changes,
    }
    return SimpleNamespace(
        phase=phase,
        unit=changes.get("unit", STUDY),
        fingerprint=changes.get("fingerprint", finished),
        is_gather=run["gather"],
        told=changes.get("told", True),
        run=lambda: run,
        metrics=lambda: metrics,
    )


MEASURED = gather(
    "same_arch",
    "0",
    {},
    unit="A",
    gather=False,
    fingerprint="unit",
    commit="u" * 40,
    ran_on=[{"cpu": "a CPU"}],
)
"""The unit that the gathers name: what was measured, by which commit and where."""


UNITS = {(line.phase, model): "unit" for line in LINES for model in "AB"}


@pytest.fixture(autouse=True)
def _told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(real_study, "is_told", lambda results: results.told)


@pytest.mark.parametrize("page", real_study.PAGES, ids=lambda page: page.name)
def test_the_pages_hold_what_the_generator_makes(page: Any) -> None:
    text, made = page.read_text(), block(read(), real_study.PAGES[page])
    assert real_study.MARKS.placed(text, made) == text, "run `python -m docs.real_study`"


def test_every_figure_of_the_pages_is_a_metric() -> None:
    study = read()
    if study is None:
        pytest.fail("docs/studies/real_small.json is missing")
    rounded = {f"{abs(v):.{n}f}" for v in study.metrics.values() for n in (0, 1, 2)}
    for each in LINES:
        for model in study.models:
            said = NUMBER.findall(each.figure(model, study.metrics, study.measured))
            assert {x.lstrip("+\u2212") for x in said} <= rounded, each.words


def test_a_line_reads_its_own_model_and_its_interval() -> None:
    line = Line("words", "same_arch", "add/raw/chosen/refusal_gap")
    metrics = {
        "same_arch/A/add/raw/chosen/refusal_gap": 0.3,
        "same_arch/A/add/raw/chosen/refusal_gap_low": -0.001,
        "same_arch/A/add/raw/chosen/refusal_gap_high": 0.5,
        "same_arch/B/add/raw/chosen/refusal_gap": -0.2,
    }
    assert line.figure("A", metrics, ()) == "+0.30 [\u22120.00, +0.50]"
    assert line.figure("B", metrics, ()) == "\u22120.20"
    assert line.figure("C", metrics, ()) == WAITING
    assert line.figure("C", metrics, ["same_arch/C"]) == ABSENT
    assert set(line.read(metrics)) == set(metrics)


def test_the_other_models_vector_is_read_under_the_target() -> None:
    line = Line("words", "cross_arch", "*/ridge/chosen/gap_over_nulls", ".1f")
    metrics = {
        "cross_arch/A/B/ridge/chosen/gap_over_nulls": 0.5,
        "cross_arch/B/A/ridge/chosen/gap_over_nulls": 0.1,
        "cross_arch/A/B/pad/chosen/gap_over_nulls": 0.9,
    }
    assert [line.figure(m, metrics, ()) for m in "AB"] == ["0.5", "0.1"]
    with pytest.raises(ValueError, match="one number expected"):
        line.figure("A", metrics | {"cross_arch/A/C/ridge/chosen/gap_over_nulls": 0.7}, ())


def test_the_newest_gather_of_each_phase_is_taken_if_it_is_not_stale_and_only_what_is_shown() -> (
    None
):
    gap = "A/add/raw/chosen/refusal_gap"
    results = [
        gather("same_arch", "2", {gap: 0.2, "A/not_shown": 9.0}),
        gather("same_arch", "1", {gap: 0.1}),
        gather("same_arch", "3", {gap: 0.3}, inputs={"units": {"A": "of old code"}}),
        gather("same_arch", "5", {gap: 0.5}, told=False),
        gather("same_arch", "4", {gap: 0.4}, gather=False),
        gather("layer_sweep", "1", {"A/best_block": 12.0}),
        MEASURED,
    ]
    study = taken(results, UNITS)
    assert study.metrics == {f"same_arch/{gap}": 0.2, "layer_sweep/A/best_block": 12.0}
    assert study.models == ("A", "B")
    assert study.made == {"commit": "u" * 12, "torch": "2", "transformers": "5", "on": "a CPU"}
    with pytest.raises(InputError, match="gathers of phases by the code as it"):
        taken(results[2:5], UNITS)


def study_of(metrics: dict[str, float], *measured: str) -> RealStudy:
    """One of two models."""
    return RealStudy(("A", "B"), MADE, measured, metrics)


def test_the_short_table_is_a_part_of_the_long_one() -> None:
    every = [f"{line.phase}/A" for line in LINES]
    study = study_of({"same_arch/A/aligned/refusal_gap": 1.0}, *every)
    short, whole = (block(study, brief).splitlines() for brief in (True, False))
    assert set(short) <= set(whole) and 5 < len(short) < len(whole)
    assert any(row.endswith(f"| +1.00 | {WAITING} |") for row in short)
    assert "Not measured yet." in block(None, True)


def test_a_phase_that_was_not_measured_is_named_and_has_no_lines() -> None:
    said = block(study_of({"same_arch/A/aligned/refusal_gap": 1.0}, "same_arch/A"), False)
    assert "Not measured yet: `preference_tuning`, `steering_vectors`" in said
    assert "the trained half (aligned)" in said
    assert not any(f"| {line.words} |" in said for line in LINES if line.phase == "layer_sweep")


def test_gathers_of_one_model_each_are_taken_together_and_other_models_are_not() -> None:
    tuned = gather("preference_tuning", "1", {"A/dpo/rise": 0.1, "B/dpo/rise": 0.2})
    of_a = gather("same_arch", "2", {"unsteered/refusal_gap": 0.3}, models=["A"])
    of_b = gather("same_arch", "3", {"aligned/refusal_gap": 0.4}, models=["B"])
    other = gather("same_arch", "4", {"unsteered/refusal_gap": 0.9}, models=["C"])
    study = taken([tuned, of_a, of_b, other], UNITS)
    assert study.models == ("A", "B")
    assert study.metrics["same_arch/A/unsteered/refusal_gap"] == 0.3
    assert study.metrics["same_arch/B/aligned/refusal_gap"] == 0.4
    assert study.measured[-2:] == ("same_arch/A", "same_arch/B")
    fewer = block(taken([tuned, of_a], UNITS), False).splitlines()
    assert any(row.endswith(f"| +0.30 | {WAITING} |") for row in fewer)


def test_the_unsteered_gap_is_the_prompts_less_what_the_prompt_gains() -> None:
    metrics = {"prompt/refusal_gap": 0.5, "prompt/refusal_gap_gain": 0.2}
    alone = gather("same_arch", "1", metrics, models=["A"])
    several = {f"{m}/{name}": value for m in "AB" for name, value in metrics.items()}
    for each in (alone, gather("same_arch", "1", several)):
        found = taken([each], UNITS).metrics
        assert found["same_arch/A/unsteered/refusal_gap"] == pytest.approx(0.3)
