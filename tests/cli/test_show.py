"""Showing: is what is stored shown, exported and published, and what takes long told?"""

from __future__ import annotations

import fcntl
from argparse import Namespace
from pathlib import Path

import pytest
import yaml

from mahals.cli import main
from mahals.cli import show as showing
from mahals.harness.manifests.dvc_stages import BOARD
from mahals.harness.workspace.results import Results
from mahals.records import InputError
from tests.support.places import ROOT
from tests.support.synthetic_results import Made, entry, steered, workspace, write_results
from tests.support.terminal import Terminal


def test_models_shows_every_entry_of_the_registry(
    small: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["models"]) == 0
    heads, _, *lines = capsys.readouterr().out.splitlines()
    entries = yaml.safe_load((ROOT / "benchmarks/models.yaml").read_text())
    assert {line.split()[0] for line in lines} == set(entries)
    for line in lines:
        entry = entries[line.split()[0]]
        for fact in ("family", "pair", "layers", "width", "licence"):
            assert str(entry.get(fact, "")) in line  # what is not stated is read from the config
    assert heads.split()[0] == "key"
    assert heads.endswith("here")


def test_cache_shows_sizes_and_prunes(small: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("journal/a", "runs/b", "cache/c"):
        (small / ".mahals" / name).mkdir(parents=True)
        (small / ".mahals" / name / "file").write_bytes(b"x" * 2_000_000)
    assert main(["cache"]) == 0
    assert capsys.readouterr().out.count("2.0 MB") == 3
    lock = small / ".mahals" / "journal" / "a.lock"
    with lock.open("w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        assert main(["cache", "--prune"]) == 2
        assert "no run under way" in capsys.readouterr().err
        assert (small / ".mahals/runs/b/file").is_file()
    assert main(["cache", "--prune"]) == 0
    assert not (small / ".mahals/runs").exists()
    assert capsys.readouterr().out.count("0.0 MB") == 3


def test_export_writes_what_torch_reads_without_unpickling_code(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    import torch
    from safetensors.torch import save_file

    values = torch.arange(12, dtype=torch.float32).reshape(3, 4)
    kept, out = tmp_path / "svd_k.safetensors", tmp_path / "svd_k.pth"
    save_file({"values": values}, kept)
    assert main(["export", str(kept), str(out)]) == 0
    assert "values (3, 4)" in capsys.readouterr().out
    (name, read), *more = torch.load(out, weights_only=True).items()
    assert (name, more) == ("values", []) and torch.equal(read, values)
    kept.write_bytes(kept.read_bytes()[:-1])
    for source, target in ((kept, tmp_path / "b.pth"), (tmp_path / "absent", out)):
        assert main(["export", str(source), str(target)]) == 2
        assert capsys.readouterr().err.count("\n") == 1
    assert sorted(path.name for path in tmp_path.iterdir()) == [out.name, kept.name]


PUBLISHING = ("MLflow's database", "results to MLflow", "leaderboard lines to MLflow")


@pytest.mark.parametrize("command", ["publish", "leaderboard"])
def test_publishing_is_told_in_a_log(
    command: str, results: list[Results], told_at_once: None, capsys: pytest.CaptureFixture[str]
) -> None:
    assert getattr(showing, command)(Namespace(top=5, port=5000), {}) == 0
    lines = capsys.readouterr().err.splitlines()
    database, runs, board = ([x for x in lines if x.startswith(n)] for n in PUBLISHING)
    assert "MLflow's database: 0 s so far" in database
    assert len(board) == 4 and board[-1] == "leaderboard lines to MLflow: 2 in 0 s"
    assert "leaderboard lines to MLflow: 1.0 of 2 lines, " in board[1]
    assert " a minute, about " in board[1] and board[1].endswith(" left")
    assert len(runs) == (4 if command == "publish" else 0)


def test_what_is_short_is_not_told(
    results: list[Results], capsys: pytest.CaptureFixture[str]
) -> None:
    with showing.Meter("something") as meter:
        meter.wait()
    with showing.Meter("something else") as meter:
        meter.count(0, 2)
        meter.count(2, 2)
    with showing.Meter("nothing"):
        pass
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("known", [True, False])
def test_on_a_terminal_it_is_a_bar(
    known: bool, terminal: Terminal, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stderr", terminal)
    with showing.Meter("something") as meter:
        for done in range(3):
            meter.count(done, 4) if known else meter.wait()
            line = terminal.screen[-1]
            assert line.startswith("something  ") and line.endswith(" 0 s")
            assert f" {done}/4, " in line if known else " 0 s so far " in line
    assert ("4/4" in terminal.screen[0]) == known


def test_what_is_cut_short_is_not_told_as_done(
    told_at_once: None, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(InputError), showing.Meter("something") as meter:
        meter.count(1, 2)
        raise InputError("a", expected="b", got="c", cure="d")
    assert " in 0 s" not in capsys.readouterr().err


def test_the_page_in_git_outlives_a_publish_without_results_of_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place, page = workspace(tmp_path), tmp_path / BOARD
    page.parent.mkdir(exist_ok=True)
    page.write_text("what was committed")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match="stored results: expected those of a study, got none"):
        showing.publish(Namespace(), {})
    write_results(place, Made(canonical=False, entries=[entry(steered(), 6.0)]))
    assert showing.publish(Namespace(), {}) == 0
    assert page.read_text() == "what was committed"
    write_results(place, Made(entries=[entry(steered(), 6.0)]))
    assert showing.publish(Namespace(), {}) == 0
    assert "Mistral_7B" in page.read_text()
