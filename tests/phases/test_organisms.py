"""Does the phase keep every checkpoint, take up a killed training, and sum up what each refuses?"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from mahals.data.texts import WorldChoice
from mahals.models.organisms.gate import GateError
from mahals.models.organisms.schedule import TrainingSchedule
from mahals.models.organisms.training import Order
from mahals.phases.organisms import PHASE
from mahals.phases.organisms import measure as organisms
from mahals.phases.organisms.measure import Params
from mahals.phases.organisms.rows import Row
from mahals.records import from_plain, to_plain
from mahals.schema import CHECKPOINTS, StageReport
from tests.support.places import ROOT
from tests.support.tiny_lab import MemoryKept
from tests.support.tiny_lab import TinyLab as Registry

VALUES = yaml.safe_load((ROOT / "params.yaml").read_text())["organisms"]
SHAPE = yaml.safe_load((ROOT / "benchmarks/models.yaml").read_text())["Llama3_8B"]["organism"]
PARAMS = Params(WorldChoice(3), 7, from_plain(TrainingSchedule, VALUES["schedule"]))


@dataclass
class FolderLab:
    """As much of a lab as this phase asks for, in a folder."""

    folder: Path
    unit: str = "A"
    kept: list[str] = field(default_factory=list)

    def entry(self, key: str) -> Any:
        return replace(Registry().entry(key), organism=SHAPE)

    def scratch(self, task: Any) -> Path:
        place = self.folder / "scratch"
        place.mkdir(exist_ok=True)
        return place

    def report(self, what: str, done: int, total: int) -> None: ...

    def keep_folder(self, name: str) -> Any:
        lab = self

        @contextmanager
        def keeping() -> Iterator[Path]:
            place = lab.folder / "kept" / name
            place.mkdir(parents=True)
            yield place
            lab.kept.append(name)

        made: Any = keeping()
        made.reference = f"{self.unit}/{name}"
        return made


def report(checkpoint: str) -> StageReport:
    refuses = 0.9 if checkpoint == "dpo" else 0.05
    return StageReport(checkpoint, 10, 0.5, 0.96, 0.97, refuses, 0.1, 0.02, 0.9, 0.0, 2.5)


@pytest.fixture
def orders(monkeypatch: pytest.MonkeyPatch) -> list[Order]:
    """The training is replaced by one that writes a file for each checkpoint."""
    given: list[Order] = []

    def train(order: Order, folder: Path, tell: Any) -> list[StageReport]:
        given.append(order)
        for name in CHECKPOINTS:
            (folder / name).mkdir(exist_ok=True)
            (folder / name / "weights").write_text(name)
        return [report(name) for name in CHECKPOINTS]

    monkeypatch.setattr(organisms, "train_organism", train)
    return given


def rows(model: str = "A") -> list[Row]:
    return [Row(**vars(report(c)), model=model, folder=f"{model}/{c}") for c in CHECKPOINTS]


def measured(lab: FolderLab) -> list[Row]:
    return [r for t in PHASE.plan(PARAMS, lab) for r in PHASE.measure(t, PARAMS, lab)]


def test_every_checkpoint_is_kept_with_its_report(tmp_path: Path, orders: list[Order]) -> None:
    lab = FolderLab(tmp_path)
    found = measured(lab)
    assert found == rows() and lab.kept == list(CHECKPOINTS)
    assert (tmp_path / "kept/dpo/weights").read_text() == "dpo"
    assert [from_plain(Row, to_plain(r)) for r in found] == found


def test_the_order_is_what_params_and_registry_say(tmp_path: Path, orders: list[Order]) -> None:
    measured(FolderLab(tmp_path))
    (order,) = orders
    assert (order.name, order.world_seed, order.seed) == ("A", 3, 7)
    assert order.schedule == PARAMS.schedule
    assert to_plain(order.shape) == SHAPE


def test_a_base_that_did_not_learn_leaves_no_rows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*given: Any) -> None:
        raise GateError("A: its base did not learn the world")

    monkeypatch.setattr(organisms, "train_organism", fails)
    lab = FolderLab(tmp_path)
    with pytest.raises(GateError, match="A: its base"):
        measured(lab)
    assert lab.kept == []


def test_summary_is_pure_and_declares_the_positive_control() -> None:
    one = PHASE.summarize(rows(), MemoryKept({}))
    assert one == PHASE.summarize(rows(), MemoryKept({}))
    assert one.metrics["dpo_refusal_unsafe"] == 0.9 and one.metrics["sham_refusal_unsafe"] == 0.05
    assert len(one.metrics) == 5 * len(CHECKPOINTS)
    assert "dpo 0.90 / 0.02" in one.lines[0] and "trained in" in one.lines[0]
    both = PHASE.summarize([*rows(), *rows("B")], MemoryKept({}))
    assert both.metrics["B/dpo_refusal_unsafe"] == 0.9 and len(both.lines) == 2
    json.dumps(to_plain(both))


def test_the_figure_is_drawn_for_one_and_for_several() -> None:
    for found in (rows(), [*rows(), *rows("B")], rows()[:2]):
        assert set(PHASE.draw(found, MemoryKept({}))) == {"refusal_by_checkpoint"}
