"""Progress: is an observer told of everything, a log seldom, and do steps never go back?"""

from __future__ import annotations

import threading
import time
from pathlib import Path
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mahals.harness.engines.pool import Job
from mahals.harness.runner.batch import PhaseBatch
from mahals.harness.runner.journal import Done
from mahals.harness.runner.progress import Console, Later, Session, Silent, Steps
from mahals.records import InputError
from tests.support import toy_study as toy
from tests.support.terminal import Terminal
from tests.support.toy_runs import Watch

STAGES = (("base", 400, 1000), ("sft", 1, 60), ("sft", 60, 60), ("dpo", 25, 50), ("sham", 0, 50))
BY_HAND = {None: (0.2, 0.5 + 0.25 / 60, 0.75, 0.8125, 0.875), 4: (0.1, 0.254, 0.5, 0.625, 0.75)}


@pytest.mark.parametrize("stages", BY_HAND)
def test_a_stage_goes_on_where_the_one_before_it_stood(stages: int | None) -> None:
    steps, shares = Steps(stages), []
    for stage in STAGES:
        steps.step(*stage)
        shares.append(steps.share)
    assert shares == pytest.approx(BY_HAND[stages], abs=1e-3)
    assert (steps.ended, steps.words) == (3, "0/50 sham")


@given(
    st.lists(st.tuples(st.text(max_size=2), st.integers(0, 9), st.integers(0, 9)), min_size=1),
    st.none() | st.integers(1, 5),
)
def test_steps_never_go_back(told: list[tuple[str, int, int]], stages: int | None) -> None:
    steps, shares = Steps(stages), [0.0]
    for step in told:
        steps.step(*step)
        shares.append(steps.share)
    assert shares == sorted(shares) and shares[-1] <= 1


class Told(Silent):
    """How far a phase was said to be."""

    def __init__(self) -> None:
        self.done: list[float] = []

    def under_way(self, phase: str, done: float, total: int) -> None:
        self.done.append(done)


def test_a_phase_of_stages_never_goes_back(terminal: Terminal) -> None:
    """Two organisms one after the other, as their training tells its stages."""
    told, console = Told(), Console(terminal)
    batch, done = PhaseBatch(Session(console, told)), set[str]()
    order = ("1", "2")
    journal = SimpleNamespace(
        missing=lambda order: [task for task in order if task not in done],
        append=lambda entry: done.add(entry.task),
    )
    place = SimpleNamespace(phase="organisms", unit="A")
    batch.works["A"] = SimpleNamespace(  # type: ignore[assignment]
        order=order, journal=journal, place=place, last=lambda: None
    )
    bars = []
    with console.bar("organisms", 2, 0) as bar:
        batch.bar = bar
        for task in order:
            job = Job(f"organisms A, task {task} of 2", "A", (), print, None)
            console.at_work([job.label])
            for stage in STAGES:
                batch.progress(job, *stage)
                batch.tick()
                bars.append(terminal.screen[-1])
            batch.done(job, Done(task, (), {}, 1.0, (), 0))
    assert told.done == pytest.approx(
        [*BY_HAND[None], *(1 + part for part in BY_HAND[4])], abs=1e-3
    )
    drawn = [float(line.split()[1].split("/")[0]) for line in bars]
    assert drawn == sorted(drawn) and drawn[0] == 0.2 and drawn[-1] == 1.8


def test_progress_is_seldom_lines_where_there_is_no_terminal(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from mahals.harness.runner import progress as session

    console = toy.quiet()
    with console.bar("grow", 8, 2) as bar:
        for done in range(2, 8):
            bar.update(float(done), "A steps 1/5")
    assert console.stream.getvalue() == ""  # type: ignore[attr-defined]
    monkeypatch.setattr(session, "QUIET_SECONDS", 0.0)
    with console.bar("grow", 8, 2) as bar:
        time.sleep(0.2)
        bar.update(4.0, "A steps 1/5")
    line = console.stream.getvalue()  # type: ignore[attr-defined]
    assert line.startswith("grow: 4.0 of 8 tasks, ") and "about 0 s left; A steps 1/5" in line
    with console.bar("published", 3, 0, "result") as bar:
        time.sleep(0.2)
        bar.update(1.0, "")
    assert "published: 1.0 of 3 results, " in console.stream.getvalue()  # type: ignore[attr-defined]


@pytest.mark.parametrize("later", [False, True])
def test_an_observer_sees_the_parts_of_tasks_under_way(tmp_path: Path, later: bool) -> None:
    workspace, watch = toy.make(tmp_path, models=["A"]), Watch()
    observer = Later(lambda: watch) if later else watch
    session = Session(toy.quiet(), observer, workers=1)
    toy.run(workspace, "grow", session, grow__tasks=2, grow__seconds=2.0)
    seen = [done for phase, done, total in watch.shares if (phase, total) == ("grow", 2)]
    first = {step / 10 for step in range(6)}  # of half the task: another stage may come
    second = {1 + step / 5 for step in range(6)}  # of the whole: the first task had one stage
    assert first | second >= {round(d, 1) for d in seen}
    assert len({d for d in seen if 0 < d < 1}) >= 2 and seen[-1] == 2.0
    assert seen == sorted(seen)


def test_an_observer_that_opens_later_is_told_of_everything() -> None:
    opened: list[Watch] = []

    def opening() -> Watch:
        time.sleep(0.1)
        opened.append(Watch())
        return opened[-1]

    before = threading.active_count()
    later = Later(opening)
    assert threading.active_count() == before  # workers may still be forked
    later.tick()
    later.task_done("words", "A", 1, 2, 0.5)
    later.failed("words", "A", ValueError("x"))
    assert len(opened) == 1
    assert opened[0].tasks == [("words", "A", 1, 2)]
    assert opened[0].failures == [("words", "A", "ValueError")]


def test_an_observer_that_does_not_open_stops_the_run(tmp_path: Path) -> None:
    def refused() -> Watch:
        raise InputError("database", expected="one", got="none", cure="make one")

    workspace = toy.make(tmp_path, models=["A"])
    with pytest.raises(InputError, match="database"):
        toy.run(workspace, "words", Session(toy.quiet(), Later(refused)))
    later = Later(refused)
    later.failed("words", "A", ValueError("x"))  # nobody to tell
    with pytest.raises(InputError, match="database"):
        later.phase_done(None)  # type: ignore[arg-type]
    waiting = Later(refused)
    with pytest.raises(InputError, match="database"):
        for _ in range(100):  # a tick says so, long before the first task is done
            waiting.tick()
            time.sleep(0.05)
