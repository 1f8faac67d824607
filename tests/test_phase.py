"""Phase: are its parts found in its folder by name, each only when asked for?"""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest

from mahals.phase import RUN_KEYS, SHARED_KEYS, SHARED_SECTIONS, Cost, Phase
from mahals.phases.registry import PHASES, load_phase
from tests.support.places import ROOT
from tests.support.toy_phases import grow
from tests.support.toy_phases.grow import measure, rows

GROW = Phase("tests.support.toy_phases.grow", (), "model", Cost(1, 1))


def test_the_parts_are_those_of_the_folder() -> None:
    assert GROW.name == "grow" and GROW.question.endswith("?") and "\n" not in GROW.question
    assert (GROW.params, GROW.task, GROW.row) == (measure.Params, measure.Task, rows.Row)
    assert GROW.shared == ()
    lab: Any = object()
    assert GROW.foretell(None, ("A",), 0) is None, "it has nothing to add"
    with pytest.raises(AttributeError):
        GROW.plan(None, lab)


def test_the_question_is_the_first_line_of_the_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(grow, "__doc__", "\n What grows?\n\nMore of it.\n")
    assert GROW.question == "What grows?"


def test_foretelling_is_asked_of_the_measure_where_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    said = lambda params, models, seed: f"{len(models)} models, seed {seed}"  # noqa: E731
    monkeypatch.setattr(measure, "foretell", said, raising=False)
    assert GROW.foretell(None, ("A", "B"), 7) == "2 models, seed 7"


def test_shared_sections_are_the_fields_of_that_name() -> None:
    for name in PHASES:
        phase = load_phase(name)
        held = {f for f in SHARED_SECTIONS if f in phase.params.__dataclass_fields__}
        assert set(phase.shared) == held, name
        assert phase.question.endswith("?") and "\n" not in phase.question, name
    assert load_phase("same_arch").shared == ("suite",)
    assert not {*RUN_KEYS} & {*SHARED_KEYS, *SHARED_SECTIONS}


def test_a_part_is_imported_when_it_is_asked_for() -> None:
    """In a process of its own: which modules of the phase there are after each question."""
    code = (
        "import sys; from tests.support.toy_phases.grow import PHASE as phase;"
        "parts = lambda: {m.rpartition('grow.')[2] for m in sys.modules if '.grow.' in m};"
        "phase.question; assert parts() == set(), parts();"
        "phase.row; assert parts() == {'rows'}, parts();"
        "phase.task; assert parts() >= {'rows', 'measure'} and 'report' not in parts(), parts()"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT)
