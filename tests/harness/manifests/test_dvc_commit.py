"""DVC commit: is DVC told of the results while something else goes on, and is its refusal heard?"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from mahals.harness.manifests import dvc_commit as done
from mahals.harness.manifests.dvc_commit import committing, ends
from mahals.harness.manifests.dvc_stages import PUBLISH
from mahals.harness.manifests.sources import Sources, read_sources
from mahals.harness.workspace.paths import Workspace
from mahals.phases.registry import PHASES
from mahals.records import InputError
from tests.support.manifests import inside
from tests.support.places import ROOT

DVC = """
import pathlib, sys, time
pathlib.Path("asked").write_text(" ".join(sys.argv[1:]))
time.sleep({seconds})
print({said!r}, file=sys.stderr)
pathlib.Path("ended").touch()
sys.exit({code})
"""


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A DVC repository with finished stages; `dvc` is what a test writes to dvc.py."""
    (tmp_path / ".dvc").mkdir()
    (tmp_path / ".dvc/config").touch()
    (tmp_path / ".git").mkdir()
    monkeypatch.setattr(done, "valid_stages", lambda sources: ("a", "b"))
    monkeypatch.setattr(done, "ends", lambda sources, stages: ("b",))
    return tmp_path


def write(project: Path, *, seconds: float = 0.0, said: str = "", code: int = 0) -> None:
    (project / "dvc.py").write_text(DVC.format(seconds=seconds, said=said, code=code))


def commit(project: Path, tick: Callable[[], None] = lambda: None) -> AbstractContextManager[None]:
    sources = read_sources(Workspace(ROOT))
    return committing(replace(sources, workspace=Workspace(project)), tick)


def test_dvc_works_while_the_body_does_and_leaves_files_where_they_are(project: Path) -> None:
    write(project, seconds=1.0)
    with commit(project):
        assert not (project / "ended").exists()
    asked = (project / "asked").read_text().split()
    assert (project / "ended").exists() and asked[0] == "commit" and asked[-1] == "b"
    assert "--no-relink" in asked, "a file being read would be gone for a moment"


def test_it_says_again_and_again_that_dvc_is_waited_for(project: Path) -> None:
    write(project, seconds=1.5)
    told: list[bool] = []
    with commit(project, lambda: told.append((project / "ended").exists())):
        assert not told, "nobody waits while the body is at work"
    assert len(told) > 2 and not told[0]


def test_its_refusal_is_told_in_its_own_words(project: Path) -> None:
    write(project, said="first\nno space left", code=255)
    with pytest.raises(InputError, match="no space left"), commit(project):
        pass


def test_an_error_of_the_body_is_the_one_that_is_raised(project: Path) -> None:
    write(project, seconds=0.5, code=255)
    with pytest.raises(ZeroDivisionError), commit(project):
        raise ZeroDivisionError
    assert (project / "ended").exists(), "DVC is waited for"


def test_without_a_repository_nothing_is_asked(project: Path) -> None:
    write(project)
    (project / ".dvc/config").unlink()
    with commit(project):
        pass
    assert not (project / "asked").exists()


@pytest.mark.parametrize("last", [*PHASES, PUBLISH])
def test_a_commit_of_the_ends_takes_all_stages_and_no_other(
    sources: Sources, stages: dict[str, Any], last: str
) -> None:
    """By DVC's own graph: the ends and all upstream of them are the stages that were asked for."""
    makers = {path: name for name, s in stages.items() for path in inside(s.outs)}

    def reach(names: set[str]) -> set[str]:
        deps = {path for name in names for path in inside(stages[name].deps)}
        above = {makers[path] for path in deps if path in makers} | names
        return above if above == names else reach(above)

    chosen = {name for name in stages if name.removesuffix("_gather") == last}
    wanted = reach(chosen | {name for name in stages if name == "organisms_gather"})
    found = ends(sources, sorted(wanted))
    assert reach(set(found)) == wanted
    assert not [other for one in found for other in found if other in reach({one}) - {one}]
