"""Settings: do values come from where they should, and are unknown and wrong ones refused?"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from mahals.harness.workspace.settings import effective, is_canonical, load_settings
from mahals.phase import STUDY
from mahals.records import InputError
from tests.support import toy_study as toy


def test_values_come_from_params_then_overlay_then_sets(tmp_path: Path) -> None:
    workspace = toy.make(tmp_path)
    grow = workspace.phase("grow")
    assert effective(load_settings(workspace, None, {}), grow).tasks == 4
    assert effective(load_settings(workspace, "more", {}), grow).tasks == 5
    assert effective(load_settings(workspace, None, {"overlay": "more"}), grow).tasks == 5
    settings = load_settings(workspace, "more", {"grow.tasks": 6, "seed": 7, "models": "B, A"})
    assert effective(settings, grow).tasks == 6
    assert (settings.seed, settings.models) == (7, ("B", "A"))
    assert effective(load_settings(workspace, None, {"scale": 2}, "grow"), grow).scale == 2.0


@pytest.mark.parametrize(
    ("sets", "words"),
    [
        ({"grow.taks": 1}, "did you mean 'tasks'"),
        ({"gro.tasks": 1}, "did you mean 'grow'"),
        ({"sed": 1}, "did you mean 'seed'"),
        ({"overlay": "mor"}, "did you mean 'more'"),
        ({"limit": -1}, "0 or more"),
        ({"cache_gb": -1}, "0 or more"),
        ({"models": []}, "at least one model"),
        ({"models": ["A", "A"]}, "none twice"),
        ({"weights": "mine"}, "one of organism, hub"),
        ({"study": "cor"}, "did you mean 'core'"),
        ({"seed": "x"}, "a whole number"),
        ({"device": "gpu"}, "auto, cpu, cuda, cuda:1 or mps"),
        ({"dtype": "float16"}, "one of auto, float32, bfloat16"),
        ({"quantize": "2bit"}, "one of none, 8bit, 4bit"),
        ({"device_map": "all"}, "one of none, auto, balanced, sequential"),
        ({"quantize": "8bit", "dtype": "float32"}, "computed in 16 bits"),
    ],
)
def test_unknown_and_wrong_values_are_refused_by_name(
    sets: dict[str, Any], words: str, tmp_path: Path
) -> None:
    with pytest.raises(InputError, match=words):
        load_settings(toy.make(tmp_path), None, sets)


def test_a_value_of_a_wrong_type_or_a_missing_section_is_refused(tmp_path: Path) -> None:
    workspace = toy.make(tmp_path)
    wrong = load_settings(workspace, None, {"grow.tasks": "many"})
    with pytest.raises(InputError, match=r"grow\.tasks: expected a whole number"):
        effective(wrong, workspace.phase("grow"))
    (tmp_path / "params.yaml").write_text(
        yaml.safe_dump({k: v for k, v in toy.PARAMS.items() if k != "grow"})
    )
    with pytest.raises(InputError, match="add the section grow"):
        effective(load_settings(workspace, None, {}), workspace.phase("grow"))
    (tmp_path / "params.yaml").write_text("a: [1")
    with pytest.raises(InputError, match="readable YAML"):
        load_settings(workspace, None, {})


def test_canonical_means_all_values_upstream_too_are_those_of_params(tmp_path: Path) -> None:
    workspace = toy.make(tmp_path)

    def canonical(name: str, unit: str, **sets: Any) -> bool:
        settings = toy.settings_of(workspace, **sets)
        return is_canonical(workspace, settings, workspace.phase(name), unit)

    assert canonical("grow", "A") and canonical("grow", STUDY) and canonical("cross", "A")
    assert canonical("grow", "A", grow__scale=1)  # 1 and 1.0 are the same value
    assert canonical("grow", "A", upstream="require", engine="local")
    assert not canonical("grow", "A", seed=1)
    assert not canonical("grow", "A", limit=1)
    assert not canonical("grow", "A", words__count=4)
    assert canonical("words", STUDY, grow__tasks=1)
    assert canonical("grow", "A", models=["A"])  # a unit of its own
    assert canonical("words", STUDY, models=["A"])  # it reads none
    assert not canonical("grow", STUDY, models=["A"])
    assert not canonical("cross", "A", models=["A"])  # it reads all models
    assert not canonical("grow", "C", models=["A", "C"])  # params.yaml lacks C
