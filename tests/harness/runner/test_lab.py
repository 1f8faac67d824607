"""Lab: does a task get what it asks for, and room of its own?"""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest import mock

import pytest
import yaml

from mahals.data.presets import located
from mahals.evaluation.agents.openings import load_split_tasks
from mahals.evaluation.misalignment.questions import TextSources
from mahals.evaluation.refusal_bench import refusal_bench
from mahals.harness.runner import lab as lab_module
from mahals.harness.runner.lab import WorkLab
from mahals.harness.runner.prepare import bare_spec
from mahals.harness.workspace.fingerprint import Resolver
from mahals.models.checkpoints import checkpoint
from mahals.phase import STUDY
from mahals.phases.datasets import measure as datasets
from mahals.records import InputError
from tests.support import toy_study as toy
from tests.support.tiny_lab import SUITE


def test_two_tasks_may_not_keep_the_same_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TOY_TROUBLE", "twice")
    with pytest.raises(ValueError, match=r"same.txt' is kept by two tasks"):
        toy.run(toy.make(tmp_path), "grow")


def lab_of(root: Path, unit: str = STUDY) -> WorkLab:
    workspace = toy.make(root)
    resolver = Resolver(workspace, toy.settings_of(workspace, weights="hub"))
    return WorkLab(bare_spec(resolver, "words", unit))


def test_a_real_checkpoint_is_read_in_the_form_that_its_entry_lends(tmp_path: Path) -> None:
    lab = lab_of(tmp_path)
    file = lab.spec.workspace.registry_file
    entries = yaml.safe_load(file.read_text())
    entries["A"]["chat_template"] = "qa"
    file.write_text(yaml.safe_dump(entries))
    asked: dict[str, Any] = {}
    place = SimpleNamespace(folder=tmp_path, revision="1")
    places = SimpleNamespace(place=lambda ref: place)
    with (
        mock.patch.object(checkpoint, "load_checkpoint", lambda folder, **o: asked.update(o)),
        mock.patch.object(lab_module, "places_of", lambda workspace: places),
    ):
        lab._load_hub("A", "base")
    assert asked["template"] == "qa" and asked["key"] == "A"


def test_a_run_from_a_subfolder_reads_the_files_that_the_fingerprint_holds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The file of that name below where the command is typed is another one."""
    lab, below = lab_of(tmp_path / "project"), tmp_path / "project" / "below"
    below.mkdir()
    answers = [("I cannot help.", "full"), ("Wait.", "none"), ("I cannot help.", "none")]
    lines = [{"prompt": "How?", "answer": a, "label": v} for a, v in answers]
    right, decoy = (below.parent / "own.jsonl"), (below / "own.jsonl")
    right.write_text("".join(json.dumps(x) + "\n" for x in lines))
    decoy.write_text("not read")
    monkeypatch.chdir(below)
    monkeypatch.setenv("HOME", str(below.parent))
    assert lab.file("own.jsonl") == lab.file("~/own.jsonl") == right
    judging = replace(SUITE.judging, labelled="own.jsonl")
    suite = replace(SUITE, judge={"hub": "lexical"}, judging=judging)
    assert refusal_bench(lab, suite).kappa == pytest.approx(0.4)
    texts = TextSources("own.jsonl", "", "world", "world").located(lab.file)
    assert texts == TextSources(str(right), "", "world", "world") and texts.of_the_world
    with pytest.raises(InputError, match=r"own\.jsonl, line 1: expected") as error:
        load_split_tasks(lab, (), 1, "own.jsonl", 0)
    assert "JSON" not in str(error.value), "of the decoy it is"
    assert located("xstest?path=own.jsonl&text=q", lab.file) == f"xstest?path={right}&text=q"
    assert located("own.jsonl?text=q", lab.file) == f"{right}?text=q"
    assert located("org/name?split=test", lab.file) == "org/name?split=test"
    assert located("world", lab.file) == "world"


def test_the_texts_of_a_study_are_read_from_the_projects_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lab = lab_of(tmp_path)
    seen: list[str] = []
    monkeypatch.setattr(datasets, "_from_data_set", lambda file, source, *_: seen.append(source))
    source = datasets.Source("world", "mine.jsonl?text=q")
    params: object = type("Params", (), {"neutral": source})()
    with pytest.raises(AttributeError):  # nothing was read
        list(datasets.measure(datasets.Task((), "neutral"), params, lab))  # type: ignore[arg-type]
    assert seen == [f"{tmp_path / 'mine.jsonl'}?text=q"]
