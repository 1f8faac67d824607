"""Command `models`: is the registry told, and is nothing fetched under terms that nobody read?"""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from mahals.cli import main
from tests.support import toy_study as toy
from tests.support.tiny_models import fresh

TERMS = {"terms": "https://example.org/terms", "licence": "Own Terms"}


@pytest.fixture()
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A workspace whose registry holds a checkpoint here, one that is not, and one under terms."""
    one = fresh("Llama")
    one.model.save_pretrained(tmp_path / "here")
    one.tokenizer.save_pretrained(tmp_path / "here")
    toy.make(tmp_path)
    package = {"name": "no-such-package-of-mahals", "version": "1", "file": "x.gguf"}
    entries = {
        "Here": {"path": "./here"},
        "Gone": {"path": "./gone"},
        "Termed": {"aligned": {"package": package | {"sha256": "0" * 64}}, **TERMS},
    }
    (tmp_path / "benchmarks/models.yaml").write_text(yaml.safe_dump(entries))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_the_table_says_where_each_model_is(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["models"]) == 0
    rows = {x.split()[0]: x for x in capsys.readouterr().out.splitlines() if x.strip()}
    assert "Llama" in rows["Here"] and rows["Here"].rstrip().endswith("aligned")
    assert rows["Gone"].rstrip().endswith("aligned: no such folder")
    assert rows["Termed"].rstrip().endswith("nothing")


def test_a_checkpoint_that_is_here_is_told_with_its_licence_and_revision(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["models", "--get", "Here"]) == 0
    first, *others = capsys.readouterr().out.splitlines()
    assert first.startswith("Here: licence")
    assert str(folder / "here") in others[-1] and "revision" in others[-1]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--get", "Termed"], "Own Terms"),
        (["--get", "Her"], "did you mean 'Here'"),
        (["--accept-licence"], "add --get KEY"),
    ],
)
def test_what_cannot_be_fetched_is_refused_in_one_line(
    words: list[str], message: str, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["models", *words]) != 0
    (line,) = capsys.readouterr().err.splitlines()
    assert message in line
