"""Do the generated files agree with the phases and with those who read them?"""

from __future__ import annotations

import pytest
import yaml

from mahals.harness.manifests.completeness import gaps
from mahals.harness.manifests.generate import stale
from mahals.harness.manifests.sources import Sources
from mahals.phases.registry import PHASES
from tests.support.manifests import sources_here
from tests.support.places import ROOT


@pytest.fixture(scope="module")
def sources() -> Sources:
    return sources_here()


def test_nothing_is_missing(sources: Sources) -> None:
    assert gaps(sources) == []


def test_generated_files_are_up_to_date(sources: Sources) -> None:
    assert stale(sources) == [], "run `make manifests`"


def test_entry_points_are_the_study_and_the_phases() -> None:
    points = yaml.safe_load((ROOT / "MLproject").read_text())["entry_points"]
    assert set(points) == {"main", *PHASES}
    assert all(set(point) == {"command"} for point in points.values()), "no parameters: blocks"


def test_mlflow_makes_keys_of_extra_parameters() -> None:
    from mlflow.projects._project_spec import load_project

    point = load_project(str(ROOT)).get_entry_point("cross_arch")
    command = point.compute_command({"source": "Mistral_7B", "lambdas": "[0, 0.5]"}, None)
    wanted = "python -m mahals run cross_arch --source Mistral_7B --lambdas '[0, 0.5]'"
    assert command == wanted


def test_conda_holds_the_dependencies_of_the_package(sources: Sources) -> None:
    from mlflow.utils.environment import _PythonEnv

    project = sources.project["project"]
    env = _PythonEnv.from_conda_yaml(ROOT / "conda.yaml")
    assert env.dependencies == project["dependencies"]
    assert project["requires-python"] == f">={env.python}"
