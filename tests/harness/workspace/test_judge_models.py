"""Judge models: is a judge whose checkpoint no unit can load refused before anything runs?"""

from __future__ import annotations

from typing import Any

import pytest

from mahals.harness.workspace.judge_models import check_judges
from mahals.harness.workspace.model_registry import load_registry
from mahals.harness.workspace.paths import Workspace
from mahals.harness.workspace.settings import load_settings
from mahals.records import InputError
from tests.support.places import ROOT

ONE, OTHER = "SmolLM2_135M_pair", "Gemma3_270M"


def check(name: str, **sets: Any) -> None:
    workspace = Workspace(ROOT)
    typed = {key.replace("__", "."): value for key, value in sets.items()}
    settings = load_settings(workspace, None, {"weights": "hub", "models": [ONE], **typed})
    check_judges(settings, workspace.phase(name), load_registry(workspace))


@pytest.mark.parametrize("judge", ["model", "states"])
@pytest.mark.parametrize("named", [OTHER, "/some/folder", "org/name"])
def test_a_checkpoint_that_a_unit_does_not_read_is_no_judge(judge: str, named: str) -> None:
    suite = {"suite__judge": {"hub": judge}, "suite__judging__model": named}
    match = f"judge {judge} of same_arch/{ONE}: expected a model that the unit reads"
    with pytest.raises(InputError, match=match) as error:
        check("same_arch", **suite)
    said = str(error.value)
    assert repr(named) in said and f"({ONE})" in said and "mahals score" in said
    assert "\n" not in said and len(said) < 400


def test_what_a_unit_reads_may_judge_and_other_judges_need_no_checkpoint() -> None:
    own = {"suite__judge": {"hub": "model"}, "suite__judging__model": ONE}
    check("same_arch", **own)
    with pytest.raises(InputError, match=f"same_arch/{OTHER}"):
        check("same_arch", models=[ONE, OTHER], **own)
    check("cross_arch", models=[ONE, OTHER], **own)
    for name in ("rules", "words", "openai"):
        check("same_arch", suite__judge={"hub": name}, suite__judging__model=OTHER)


def test_a_half_that_is_trained_here_is_no_judge() -> None:
    trained = {"suite__judge": {"hub": "states"}, "suite__judging__model": OTHER}
    with pytest.raises(InputError, match=r"judge states: .*whose pair is trained here") as error:
        check("same_arch", models=[OTHER], **trained)
    assert "\n" not in str(error.value)


def test_a_judge_of_advice_is_held_to_the_same() -> None:
    judge = {"em_finetune__judge__name": "model", "em_finetune__judge__model": OTHER}
    with pytest.raises(InputError, match="judge model of em_finetune"):
        check("em_finetune", **judge)
