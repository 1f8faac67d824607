"""Pool: do jobs give the same in any process, and does nothing outlive a failure?"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pytest

from mahals.harness.engines.pool import Job, LocalPool, open_pool
from mahals.records import InputError
from tests.support import engine_jobs
from tests.support.engine_jobs import Watch, job, squares
from tests.support.processes import alive


def test_values_do_not_depend_on_workers_and_a_model_stays_with_its_process() -> None:
    found = {}
    for workers in (1, 2):
        watch = Watch()
        with LocalPool(workers) as pool:
            pool.run(squares(8), watch)
        found[workers] = {label: value[0] for label, value in watch.values.items()}
        assert {value[2] for value in watch.values.values()} == {"1"}
        if workers == 1:  # all jobs of the model it holds before any of the other
            assert [int(label[1:]) % 2 for label in watch.values] == [0] * 4 + [1] * 4
        assert len({value[1] for value in watch.values.values()}) <= workers
    assert found[1] == found[2] == {f"s{i}": i**2 for i in range(8)}


def test_the_pool_is_kept_between_runs_and_empty_runs_start_nothing() -> None:
    first, second = Watch(), Watch()
    with LocalPool(1) as pool:
        pool.run([], first)
        assert pool._pool == []
        pool.run([job("a", engine_jobs.square, 3)], first)
        pool.run([job("b", engine_jobs.square, 4)], second)
    assert first.values["a"][1] == second.values["b"][1]
    assert not alive(first.values["a"][1])


def test_a_job_may_lead_to_another_and_reports_reach_the_parent() -> None:
    watch = Watch({"first": job("second", engine_jobs.square, 5)})
    with LocalPool(1) as pool:
        pool.run([job("first", engine_jobs.slow, 1.5)], watch)
    assert watch.values["second"][0] == 25
    assert {(label, what, total) for label, what, _, total in watch.steps} == {
        ("first", "steps", 5)
    }
    done = [step[2] for step in watch.steps]
    assert done == sorted(done) and len(done) >= 2


def test_a_worker_that_dies_is_named_with_its_task_and_the_others_stop() -> None:
    watch = Watch()
    with LocalPool(2) as pool:
        pool.run(squares(2), watch)
        others = {value[1] for value in watch.values.values()}
        with pytest.raises(InputError, match=r"worker process of killed.*SIGKILL"):
            pool.run([job("killed", engine_jobs.die, None), *squares(1)], watch)
    assert not any(alive(pid) for pid in others)


def test_a_spare_job_is_not_waited_for_until_the_pool_is_finished() -> None:
    first, later = Watch(), Watch()
    left: list[int] = []
    with LocalPool(2) as pool:
        pool.spare(job("figures", engine_jobs.slow, 4.0), later)
        pool.run([job("task", engine_jobs.square, 3)], first)
        assert list(first.values) == ["task"] and not later.values and pool.left == 1
        pool.run(squares(4), first)
        assert len(first.values) == 5 and not later.values, "jobs of the next phase, meanwhile"
        pool.finish(left.append)
        assert list(later.values) == ["figures"] and left[0] == 1 and left[-1] == pool.left == 0
        assert {what for _, what, _, _ in later.steps} == {"steps"} and not first.steps
        pool.finish(left.append)


def test_a_spare_job_waits_for_what_a_job_leads_to() -> None:
    order: list[str] = []

    class Noting(Watch):
        def done(self, job: Job, value: Any) -> Iterable[Job]:
            order.append(job.label)
            return super().done(job, value)

    with LocalPool(1) as pool:
        pool.spare(job("figures", engine_jobs.square, 1), Noting())
        follow = {"task": job("last step", engine_jobs.square, 3)}
        pool.run([job("task", engine_jobs.square, 2)], Noting(follow))
        pool.finish(lambda left: None)
    assert order == ["task", "last step", "figures"]


def test_the_error_of_a_spare_job_stops_nothing_else_and_is_raised_at_the_end() -> None:
    first, later = Watch(), Watch()
    with LocalPool(2) as pool:
        pool.spare(job("figures", engine_jobs.refuse, None), later)
        pool.spare(job("more", engine_jobs.square, 1), later)
        pool.run([job("task", engine_jobs.slow, 3.0)], first)
        assert list(first.values) == ["task"] and not first.errors
        with pytest.raises(InputError, match="an apple"):
            pool.finish(lambda left: None)
        assert [label for label, _ in later.errors] == ["figures"] and "more" in later.values
        pool.finish(lambda left: None)  # once


def test_a_spare_job_cut_short_by_a_stopped_run_is_begun_again() -> None:
    first, later = Watch(), Watch()
    with LocalPool(2) as pool:
        pool.spare(job("figures", engine_jobs.slow, 3.0), later)
        pool.run([job("task", engine_jobs.slow, 1.0)], first)
        with pytest.raises(InputError, match="an apple"):
            pool.run([job("bad", engine_jobs.refuse, 0)], first)
        assert later.steps and not later.values and pool.left == 1
        pool.finish(lambda left: None)
    assert list(later.values) == ["figures"] and not later.errors


def test_what_a_spare_job_leads_to_is_spare_too() -> None:
    first, later = Watch(), Watch({"task ahead": job("its last step", engine_jobs.square, 3)})
    with LocalPool(1) as pool:
        pool.spare(job("task ahead", engine_jobs.square, 2), later)
        pool.run([job("task", engine_jobs.square, 1)], first)
        pool.finish(lambda left: None)
    assert list(first.values) == ["task"] and list(later.values) == ["task ahead", "its last step"]


def test_spare_jobs_that_are_claimed_are_waited_for_like_others() -> None:
    first, later, other = Watch(), Watch(), Watch()
    with LocalPool(2) as pool:
        pool.spare(job("under way", engine_jobs.slow, 3.0), later)
        pool.run([job("task", engine_jobs.slow, 1.0)], first)
        pool.spare(job("waits", engine_jobs.square, 2), later)
        pool.spare(job("of another", engine_jobs.square, 3), other)
        assert not later.values
        claimed = pool.claim(later)
        assert [each.label for each in claimed] == ["waits"] and pool.left == 1
        pool.run(claimed, later)
        assert set(later.values) == {"under way", "waits"}
        assert {what for _, what, _, _ in later.steps} == {"steps"}
        pool.finish(lambda left: None)
    assert list(other.values) == ["of another"] and list(first.values) == ["task"]


def test_the_error_of_a_spare_job_that_is_claimed_is_forgotten() -> None:
    later = Watch()
    with LocalPool(2) as pool:
        pool.spare(job("bad", engine_jobs.refuse, 0), later)
        pool.run([job("task", engine_jobs.slow, 2.0)], Watch())
        assert later.errors and pool.claim(later) == []
        pool.finish(lambda left: None)


def test_unknown_engine_and_workers_are_refused() -> None:
    with pytest.raises(InputError, match="unknown engine"):
        open_pool("cluster", 1)
    with pytest.raises(InputError, match="workers"):
        LocalPool(-1)
