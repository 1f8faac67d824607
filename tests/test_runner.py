"""Does a study end with the same bytes whatever happens to it on the way?"""

from __future__ import annotations

import threading
import time
from pathlib import Path

import pytest

from mahals.harness.runner.progress import Later, Session
from mahals.records import InputError
from tests.support import toy_study as toy
from tests.support.toy_runs import Watch

# Kills


# Failures


# Parts of a study


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
    assert {0.2, 0.4, 0.6, 0.8, 1.0, 1.2, 1.4, 1.6, 1.8, 2.0} >= {round(d, 1) for d in seen} - {0.0}
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
