"""Is each number that is told of the resistance study one that was measured, under its own head?"""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from docs import resistance_study
from docs.resistance_study import (
    MARKS,
    ORGANISMS,
    PAGE,
    PHASES,
    REAL,
    TAUGHT,
    TAUGHT_LINES,
    WHOLE,
    WHOLE_LINES,
    ResistanceStudy,
    block,
    column,
    read,
    taken,
)
from mahals.harness.workspace.paths import Workspace
from mahals.phase import STUDY
from mahals.records import InputError
from tests.support.places import ROOT

RESTARTS = "planted/passage/contrast/both/multi_attempt_rate"


def test_the_page_holds_what_the_generator_makes() -> None:
    text = PAGE.read_text(encoding="utf-8")
    assert MARKS.placed(text, block(read())) == text, "run `python -m docs.resistance_study`"


def test_what_is_kept_is_what_is_shown_and_heads_are_columns() -> None:
    study = read()
    shown = {n for line in (*TAUGHT_LINES, *WHOLE_LINES) for n in line.read(study.metrics)}
    assert shown == set(study.metrics)
    heads = {name.split("/")[1] for name in study.metrics}
    assert heads <= {*TAUGHT, *WHOLE} and set(WHOLE) <= heads
    assert {h for h in heads if h in TAUGHT and not h.endswith("training 0")}, "several trainings"
    assert {name.split("/")[0] for name in study.measured} <= set(PHASES)


def test_a_line_stands_under_its_head_and_one_without_numbers_is_left_out() -> None:
    metrics = {f"esr_finetune/{column('Qwen2_7B', 2)}/{RESTARTS}": 0.25}
    metrics |= {
        f"{name}{end}": x for name in list(metrics) for end, x in (("_low", 0), ("_high", 0.5))
    }
    made = block(ResistanceStudy({"commit": "c"}, ("esr_finetune/Qwen2_7B, training 2",), metrics))
    lines = [line for line in made.splitlines() if "restarts" in line]
    assert lines == [
        "| taught prompt, taught digression: **half** (`planted`), restarts | 0.25 [0.00, 0.50] |"
    ]
    assert "Measured with commit c." in made


def gather(model: str, units: dict[str, str], value: float) -> Any:
    run = {
        "finished": "0",
        "models": [model],
        "inputs": {"units": units},
        "commit": "c" * 40,
        "versions": {"torch": "2", "transformers": "5"},
        "ran_on": [{"cpu": "a CPU"}],
    }
    return SimpleNamespace(
        phase="esr_finetune", unit=STUDY, is_gather=True, fingerprint="u", run=lambda: run,
        metrics=lambda: {RESTARTS: value},
    )  # fmt: skip


def test_each_number_is_of_its_own_training_and_what_is_told_by_other_code_is_not_taken(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Fingerprints are those of the settings asked for: of each training another."""
    told = True
    gathers = [gather("Llama3_8B", {"Llama3_8B": f"1-{ORGANISMS[0]}"}, 0.1)]
    gathers += [
        gather(REAL, {REAL: f"None-{REAL}"}, 0.2),
        gather("Mistral_7B", {"Mistral_7B": "x"}, 0.3),
    ]

    def units_of(_: Any, settings: Any, phases: Any) -> dict[tuple[str, str], str]:
        seed = (
            settings.values["organisms"]["training_seed"]
            if settings.weights == "organism"
            else None
        )
        return {(p, m): f"{seed}-{m}" for p in phases for m in settings.models}

    monkeypatch.setattr(resistance_study, "units_of", units_of)
    monkeypatch.setattr(resistance_study, "all_results", lambda _: tuple(gathers))
    monkeypatch.setattr("docs.real_study.is_told", lambda _: told)
    found = taken(Workspace(ROOT))
    assert found.metrics == {f"esr_finetune/{column('Llama3_8B', 1)}/{RESTARTS}": 0.1} | {
        f"esr_finetune/{REAL}/{RESTARTS}": 0.2
    }
    told = False
    with pytest.raises(InputError, match=r"run .mlflow run . -P study=resistance. here"):
        taken(Workspace(ROOT))
