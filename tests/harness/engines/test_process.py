"""Worker process: how does it begin and end, and how does an error leave it?"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from mahals.harness.engines.pool import LocalPool
from mahals.harness.engines.process import TaskError
from mahals.records import InputError
from tests.support import engine_jobs
from tests.support.engine_jobs import Watch, job
from tests.support.places import ROOT
from tests.support.processes import alive


def test_an_input_error_comes_back_as_itself_and_others_with_their_traceback() -> None:
    watch = Watch()
    with LocalPool(1) as pool:
        with pytest.raises(InputError) as refused:
            pool.run([job("r", engine_jobs.refuse, None)], watch)
        assert (refused.value.what, refused.value.cure) == ("pear", "take an apple")
        with pytest.raises(TaskError, match="ZeroDivisionError: in the job"):
            pool.run([job("t", engine_jobs.stumble, None)], watch)
    assert [label for label, _ in watch.errors] == ["r", "t"]


FORKING = "from mahals.harness.engines.process import prepare_to_fork\nprepare_to_fork({})\n"


@pytest.mark.parametrize(("start", "forked"), [("", False), (FORKING, True)])
def test_workers_do_not_outlive_a_killed_parent(start: str, forked: bool) -> None:
    code = (
        f"{start}from tests.support import engine_jobs\n"
        "from mahals.harness.engines.pool import LocalPool\n"
        "if __name__ == '__main__':\n"
        "    engine_jobs.inherited = True\n"
        "    with LocalPool(2) as pool:\n"
        "        watch = engine_jobs.Watch()\n"
        "        pool.run([engine_jobs.job('a', engine_jobs.square, 1)], watch)\n"
        "        pool.run([engine_jobs.job('c', engine_jobs.was_inherited, None)], watch)\n"
        "        print(watch.values['a'][1], flush=True)\n"
        "        print(watch.values['c'], flush=True)\n"
        "        pool.run([engine_jobs.job(n, engine_jobs.slow, 60) for n in 'bd'], watch)\n"
    )
    parent = subprocess.Popen(
        [sys.executable, "-c", code],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        text=True,
    )
    assert parent.stdout is not None
    worker = int(parent.stdout.readline())
    assert alive(worker)
    assert parent.stdout.readline() == f"{(forked, '1', '1000000000')}\n"
    parent.send_signal(signal.SIGKILL)
    parent.wait()
    deadline = time.monotonic() + 10
    while alive(worker) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not alive(worker)


@pytest.mark.slow
def test_workers_are_forked_only_from_one_thread_and_before_numpy(tmp_path: Path) -> None:
    code = (
        "import threading\n"
        "from mahals.harness.engines.process import prepare_to_fork\n"
        "from mahals.harness.engines.process import forks\n"
        "{first}\n"
        "prepare_to_fork({{}})\n"
        "{then}\n"
        "print(forks({{}}))\n"
    )
    wait = "threading.Thread(target=threading.Event().wait, daemon=True).start()"
    found = {
        (first, then): subprocess.run(
            [sys.executable, "-c", code.format(first=first, then=then)],
            capture_output=True,
            text=True,
            cwd=ROOT,
            check=True,
        ).stdout.strip()
        for first, then in [
            ("", ""),
            ("", "import mahals.phases.cross_arch.measure, mahals.harness.runner"),
            ("import numpy", ""),
            ("", wait),
        ]
    }
    assert list(found.values()) == ["True", "True", "False", "False"]


def test_what_libraries_say_of_themselves_at_import_is_kept_from_the_studys_lines() -> None:
    chatty = ["import logging", "logging.getLogger('bitsandbytes.ops').warning('of kernels')"]
    quieted = ["from mahals.harness.engines.process import quiet_libraries", "quiet_libraries()"]
    for lines, printed in ((chatty, "of kernels"), (quieted + chatty, "")):
        ran = subprocess.run(
            [sys.executable, "-c", "\n".join(lines)], capture_output=True, text=True, check=True
        )
        assert ran.stderr.strip() == printed
