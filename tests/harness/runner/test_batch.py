"""Phase batch: are rows the same whatever the workers, and whatever kills them?"""

from __future__ import annotations

import random
import signal
import time
from collections.abc import Sequence
from pathlib import Path
from unittest import mock

import pytest

from mahals.harness.engines.pool import Handler, Job
from mahals.harness.engines.process import TaskError
from mahals.harness.runner.progress import Session
from mahals.records import InputError
from tests.support import toy_study as toy
from tests.support.toy_runs import Watch, outputs

KILLS = 3


def test_two_workers_give_the_same_bytes_as_one(reference: Path, tmp_path: Path) -> None:
    watch = Watch()
    toy.run(toy.make(tmp_path), "cross", Session(toy.quiet(), watch, workers=2))
    assert outputs(tmp_path) == outputs(reference)
    assert watch.made[0] == ("words", "study")
    assert set(watch.made) == {
        ("words", "study"),
        *((phase, unit) for phase in ("grow", "cross") for unit in ("A", "B", "study")),
    }
    assert sorted(t[2] for t in watch.tasks if t[:2] == ("grow", "A")) == [1, 2, 3, 4]


def test_rows_are_in_plan_order_whatever_order_they_came_in(
    reference: Path, tmp_path: Path
) -> None:
    class Backwards(toy.Inline):
        def run(self, jobs: Sequence[Job], handler: Handler) -> None:
            super().run(jobs[::-1], handler)

    with mock.patch.object(toy, "Inline", Backwards):
        toy.run(toy.make(tmp_path), "cross")
    assert outputs(tmp_path) == outputs(reference)


def test_killed_at_random_moments_it_ends_with_the_same_bytes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole, broken, log = tmp_path / "whole", tmp_path / "broken", tmp_path / "log"
    values = {"seconds": 0.15, "tasks": 5, "scale": 1.0}
    toy.run(toy.make(whole, grow=values), "grow")
    toy.make(broken, grow=values)
    monkeypatch.setenv("TOY_LOG", str(log))
    log.touch()
    moments = random.Random(1)
    for _ in range(KILLS):
        begun = len(log.read_text().splitlines())
        process = toy.start(broken, "grow", 2)
        until = begun + moments.randint(4, 6)
        while process.poll() is None and len(log.read_text().splitlines()) < until:
            time.sleep(0.01)
        time.sleep(moments.random() * 0.2)
        process.send_signal(signal.SIGKILL)
        process.wait()
    last = toy.start(broken, "grow", 2)
    output, _ = last.communicate()
    assert last.returncode == 0, output
    assert outputs(broken) == outputs(whole)
    lines = log.read_text().splitlines()
    assert len(set(lines)) == 10
    # A kill costs at most the task in flight, per worker, and the one on its way into the journal,
    # whose worker has begun the next; with no journal it would cost the four or more begun.
    assert len(lines) <= 10 + 3 * KILLS


@pytest.mark.parametrize(
    ("trouble", "kind", "words"),
    [
        ("input", InputError, "task 2: expected a good task, got a bad one"),
        ("bug", TaskError, "ZeroDivisionError: a bug in task 2"),
        ("death", InputError, "worker process of grow A, task 3 of 4.*SIGKILL"),
    ],
)
def test_a_failing_task_keeps_the_journal_and_can_be_taken_up(
    trouble: str,
    kind: type[Exception],
    words: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    reference: Path,
) -> None:
    workspace, watch = toy.make(tmp_path), Watch()
    monkeypatch.setenv("TOY_LOG", str(tmp_path / "log"))
    monkeypatch.setenv("TOY_TROUBLE", trouble)
    with pytest.raises(kind, match=words):
        toy.run(workspace, "grow", Session(toy.quiet(), watch, workers=1))
    assert ("grow", "A", kind.__name__) in watch.failures
    assert len(watch.failures) == 2 == len(set(watch.failures))
    assert not (tmp_path / "results/grow/A/run.json").exists()
    monkeypatch.setenv("TOY_TROUBLE", "none")
    toy.run(workspace, "grow")
    log = (tmp_path / "log").read_text().splitlines()
    assert sorted(log) == sorted([f"{u} {i}" for u in "AB" for i in range(4)] + ["A 2"])
    wanted = {k: v for k, v in outputs(reference).items() if "cross" not in k}
    assert outputs(tmp_path) == wanted
