"""Does the plugin step in for a plain `mlflow run` of this project without conda, and only then?"""

from pathlib import Path

import pytest

from mahals.harness.mlflow_plugin import choose, has_conda, is_this_project, project_of


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "MLproject").write_text("# a comment\nname: mahals\nconda_env: conda.yaml\n")
    return tmp_path


@pytest.fixture
def empty_path(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    return {"PATH": str(tmp_path_factory.mktemp("bin"))}


@pytest.mark.parametrize(
    ("words", "folder"),
    [
        (["run", "."], "."),
        (["run", "-e", "cross_arch", "-P", "source=Mistral_7B", "here"], "here"),
        (["run", "--entry-point=cross_arch", "here", "-P", "a=b"], "here"),
        (["run", "-b", "local", "here"], "here"),
        (["run", "--build-image", "here"], "here"),
        (["run", "file:///x/y"], "/x/y"),
    ],
)
def test_the_project_is_found_among_the_options(words: list[str], folder: str) -> None:
    assert project_of(words) == Path(folder)


@pytest.mark.parametrize(
    "words",
    [
        [],
        ["ui"],
        ["run"],
        ["run", ".", "--env-manager", "conda"],
        ["run", "--env-manager=uv", "."],
        ["run", ".", "-b", "kubernetes"],
        ["run", "--backend=databricks", "."],
    ],
)
def test_nothing_is_chosen_where_the_choice_is_made_already(words: list[str]) -> None:
    assert project_of(words) is None


def test_without_conda_the_current_environment_is_chosen(
    project: Path, empty_path: dict[str, str]
) -> None:
    words = ["run", str(project), "-P", "source=Mistral_7B"]
    assert choose(words, empty_path)
    assert words == ["run", "--env-manager", "local", str(project), "-P", "source=Mistral_7B"]
    assert not choose(words, empty_path), "a second look finds the choice made"


def test_conda_is_left_to_mlflow(project: Path, empty_path: dict[str, str]) -> None:
    conda = Path(empty_path["PATH"]) / "conda"
    conda.write_text("#!/bin/sh\n")
    conda.chmod(0o755)
    words = ["run", str(project)]
    assert has_conda(empty_path)
    assert not choose(words, empty_path)
    assert words == ["run", str(project)]


@pytest.mark.parametrize("name", ["MLFLOW_CONDA_HOME", "CONDA_EXE"])
def test_a_conda_named_by_the_environment_counts(name: str, empty_path: dict[str, str]) -> None:
    assert has_conda({**empty_path, name: "/somewhere"})


def test_another_project_is_left_alone(tmp_path: Path, empty_path: dict[str, str]) -> None:
    (tmp_path / "MLproject").write_text("name: mahals_of_another\n")
    assert not is_this_project(tmp_path)
    assert not choose(["run", str(tmp_path)], empty_path)
    assert not choose(["run", str(tmp_path / "absent")], empty_path)
