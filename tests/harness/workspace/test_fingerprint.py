"""Fingerprint: which values and files decide a result?"""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml

from mahals.harness.workspace import fingerprint
from mahals.harness.workspace.fingerprint import Resolver
from mahals.harness.workspace.paths import Workspace
from mahals.harness.workspace.results import find
from mahals.phase import STUDY
from mahals.records import InputError
from tests.support import toy_study as toy
from tests.support.toy_runs import mark_of


def test_a_fingerprint_follows_values_and_not_how_they_are_run(done: Workspace) -> None:
    first = mark_of(done, "grow", "A")
    assert len(first) == 64 and first == mark_of(done, "grow", "A")
    assert first == mark_of(done, "grow", "A", upstream="require", models=["A"], cross__power=9)
    others = {
        mark_of(done, "grow", "B"),
        mark_of(done, "grow", "A", grow__tasks=5),
        mark_of(done, "grow", "A", grow__scale=1.5),
        mark_of(done, "grow", "A", limit=1),
        mark_of(done, "words", STUDY, seed=1),
        mark_of(done, "words", STUDY, weights="hub"),
        mark_of(done, "words", STUDY),
    }
    assert first not in others and len(others) == 7
    assert mark_of(done, "cross", "A") != mark_of(done, "cross", "A", models=["A"])
    assert mark_of(done, "words", STUDY) == mark_of(done, "words", STUDY, models=["C"])


def test_a_lent_chat_template_is_part_of_it_at_the_hub(done: Workspace) -> None:
    """Of what a model is; an organism has its own."""
    file = done.registry_file
    entries = yaml.safe_load(file.read_text())

    def facts(weights: str) -> object:
        return Resolver(done, toy.settings_of(done, weights=weights))._model("A")

    before = facts("hub"), facts("organism")
    for template, same in (("qa", False), ("", True)):
        entries["A"]["chat_template"] = template
        file.write_text(yaml.safe_dump(entries))
        assert (facts("hub") == before[0]) is same
        assert facts("organism") == before[1]


def test_what_lies_upstream_must_be_there(done: Workspace) -> None:
    with pytest.raises(InputError, match=r"none for words/study; run python -m mahals run words"):
        mark_of(done, "grow", "A", seed=1)
    assert Resolver(done, toy.settings_of(done, seed=1)).fingerprint("grow", "A") is None


def test_a_local_file_named_by_a_value_is_part_of_it(tmp_path: Path) -> None:
    workspace = toy.make(tmp_path)
    values = {"texts": "own.txt", "deep": [{"path": "own.txt"}], "none": "absent.txt", "n": 1}
    from mahals.harness.workspace.fingerprint import _files_named

    (tmp_path / "own.txt").write_text("one")
    first = dict(_files_named(workspace, values))
    (tmp_path / "own.txt").write_text("other")
    second = dict(_files_named(workspace, values))
    assert set(first) == set(second) == {"own.txt"}
    assert first != second
    (tmp_path / "a.csv").write_text("one")
    sources = {"hub": "xstest?path=a.csv&text=q", "organism": "world", "b": "absent.csv?text=q"}
    assert set(dict(_files_named(workspace, sources))) == {"a.csv"}


def test_a_file_in_the_home_folder_is_part_of_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from mahals.harness.workspace.fingerprint import _files_named

    workspace, home = toy.make(tmp_path / "project"), tmp_path / "home"
    home.mkdir()
    monkeypatch.setenv("HOME", str(home))
    values = {"labelled": "~/own.jsonl", "hub": "xstest?path=~/a.csv", "said": "~nobody at all"}
    (home / "own.jsonl").write_text("one")
    (home / "a.csv").write_text("one")
    first = dict(_files_named(workspace, values))
    assert set(first) == {"~/own.jsonl", "~/a.csv"}
    (home / "own.jsonl").write_text("other")
    second = dict(_files_named(workspace, values))
    assert [name for name in first if first[name] != second[name]] == ["~/own.jsonl"]


def test_the_registry_entry_of_a_unit_counts_and_that_of_others_does_not(tmp_path: Path) -> None:
    workspace = toy.make(tmp_path)
    toy.run(workspace, "words")
    before = mark_of(workspace, "grow", "A"), mark_of(workspace, "grow", "B")
    models = {key: toy.entry(key) for key in "ABC"}
    models["A"]["organism"] = {"width": 16}
    models["B"]["note"] = "of no consequence"
    (tmp_path / "benchmarks/models.yaml").write_text(yaml.safe_dump(models))
    assert before[0] != mark_of(workspace, "grow", "A")
    assert before[1] == mark_of(workspace, "grow", "B")


def test_upstream_made_again_with_the_same_bytes_leaves_the_rest_alone(tmp_path: Path) -> None:
    workspace = toy.make(tmp_path)
    toy.run(workspace, "grow")
    settings = toy.settings_of(workspace)
    old = find(workspace, "words", STUDY, mark_of(workspace, "words", STUDY))
    assert old is not None
    first = mark_of(workspace, "grow", "A")
    # as after an edit of code that only `words` runs through: another fingerprint, the same bytes
    run = json.loads((old.folder / "run.json").read_text())
    (old.folder / "run.json").unlink()
    assert Resolver(workspace, settings).find("grow", "A") is None
    (old.folder / "run.json").write_text(json.dumps(run | {"finished": "later", "commit": "other"}))
    assert mark_of(workspace, "grow", "A") == first
    assert Resolver(workspace, settings).find("grow", "A") is not None


def test_units_are_models_or_the_study(done: Workspace) -> None:
    settings = toy.settings_of(done)
    assert Resolver(done, settings).units(done.phase("grow")) == ("A", "B")
    assert Resolver(done, settings).units(done.phase("words")) == (STUDY,)


def test_the_order_of_the_models_is_in_what_reads_them_all(done: Workspace) -> None:
    """A phase may take the first so many: with other firsts, its rows are about other models."""
    marks = []
    for models in (["A", "B"], ["B", "A"]):
        resolver = Resolver(done, toy.settings_of(done, models=models))
        marks.append((resolver.fingerprint("grow", "A"), resolver.inputs("cross", "A")))
    assert marks[0][0] == marks[1][0]
    assert marks[0][1] != marks[1][1]


def test_what_packs_weights_counts_where_they_are_packed(
    done: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("bitsandbytes")
    plain = [mark_of(done, "words", STUDY), mark_of(done, "words", STUDY, weights="hub")]
    packed = mark_of(done, "words", STUDY, weights="hub", quantize="4bit")
    monkeypatch.setattr(fingerprint, "version", lambda name: "another")
    assert [mark_of(done, "words", STUDY), mark_of(done, "words", STUDY, weights="hub")] == plain
    assert mark_of(done, "words", STUDY, weights="hub", quantize="4bit") != packed


def test_the_device_counts_at_the_hub_and_never_for_organisms(done: Workspace) -> None:
    organism = mark_of(done, "words", STUDY)
    real = mark_of(done, "words", STUDY, weights="hub")
    for changed in ({"dtype": "bfloat16"}, {"quantize": "4bit"}):
        assert mark_of(done, "words", STUDY, **changed) == organism
        assert mark_of(done, "words", STUDY, weights="hub", **changed) != real
    assert mark_of(done, "words", STUDY, weights="hub", device="cpu") == real, "as auto is here"
    with pytest.raises(InputError, match="one that this machine has"):
        mark_of(done, "words", STUDY, weights="hub", device="cuda:99")
