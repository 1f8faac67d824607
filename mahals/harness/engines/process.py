"""Worker process: how does it begin and end, and what does it do with a call?"""

from __future__ import annotations

import ctypes
import gc
import logging
import multiprocessing
import os
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable, Mapping, Sequence
from multiprocessing.connection import Connection
from typing import Any

from mahals.records import InputError
from mahals.usage import PROCESSES

REPORT_SECONDS = 0.2  # at least, between two reports of one job
WORKER = {
    "OMP_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "MPLBACKEND": "Agg",
    # no thread of pyarrow's allocator: only a process of one thread is forked
    "JE_ARROW_MALLOC_CONF": "background_thread:false",
    # glibc keeps freed memory instead of giving it back after every step: training is faster
    "MALLOC_TRIM_THRESHOLD_": "1000000000",
    "MALLOC_MMAP_THRESHOLD_": "1000000000",
    # torch asks for huge pages for tensors of 2 MiB and more: training takes 3 % less
    "THP_MEM_ALLOC_ENABLE": "1",
}

TRIM_THRESHOLD = -1  # M_TRIM_THRESHOLD of malloc.h
CHATTY = ("bitsandbytes",)  # warns at import of kernels that are nowhere asked for

Report = Callable[[str, int, int], None]

_prepared: dict[str, str] | None = None  # the variables that this process's imports have seen


class TaskError(RuntimeError):
    """A job raised something that is not an InputError; the message holds its traceback."""


def prepare_to_fork(kernels: Mapping[str, str]) -> None:
    """Gives this process a worker's environment, so that workers may be forked from it.

    To be called before anything heavy is imported; later it does nothing, and workers are then
    started afresh. A forked worker has at once what this process has imported. `kernels`: variables
    that libraries read when they are imported (see `mahals.kernels`).
    """
    global _prepared
    if sys.platform == "linux" and "numpy" not in sys.modules:
        os.environ.update(WORKER, **kernels)
        _prepared = dict(kernels)


def quiet_libraries() -> None:
    """Keeps what libraries say of themselves at import from among the study's own lines."""
    for name in CHATTY:
        logging.getLogger(name).setLevel(logging.ERROR)


def forks(kernels: Mapping[str, str]) -> bool:
    """Whether a worker of these kernels that starts now is forked.

    Only from a process with a single thread, whose libraries were imported with the same kernels.
    """
    return _prepared == dict(kernels) and len(os.listdir("/proc/self/task")) == 1


def start_worker(processes: int, kernels: Mapping[str, str]) -> tuple[Any, Connection, Connection]:
    """One of `processes` that take calls, the pipe to it, and the connection whose end ends it."""
    forked = forks(kernels)
    context: Any = multiprocessing.get_context("fork" if forked else "spawn")
    ours, theirs = context.Pipe()
    tied, lifeline = context.Pipe(duplex=False)
    unneeded = (ours, lifeline) if forked else ()  # of the parent's ends it would hold copies
    process = context.Process(target=_work, args=(theirs, tied, unneeded), daemon=True)
    own = {**WORKER, **kernels, PROCESSES: str(processes)}
    kept = {name: os.environ.get(name) for name in own}
    os.environ.update(own)
    try:
        process.start()
    finally:
        for name, value in kept.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
    theirs.close()
    tied.close()
    return process, ours, lifeline


def _work(pipe: Connection, lifeline: Connection, unneeded: Sequence[Connection]) -> None:
    """A worker's life: takes calls from `pipe` until its parent is gone."""
    for connection in unneeded:
        connection.close()
    _keep_freed_memory()
    quiet_libraries()
    sys.stdout, sys.stderr = sys.__stdout__, sys.__stderr__  # its parent's may draw bars
    gc.freeze()  # what was imported stays: collections need not walk it each time
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_die_with_parent, args=(lifeline,), daemon=True).start()
    last = 0.0

    def report(what: str, done: int, total: int) -> None:
        nonlocal last
        now = time.monotonic()
        if now - last >= REPORT_SECONDS:
            last = now
            pipe.send(("progress", (what, done, total)))

    while True:
        try:
            function, argument = pipe.recv()
        except EOFError:
            return
        except Exception:  # an argument that cannot be rebuilt here is this job's error
            pipe.send(("error", TaskError(traceback.format_exc())))
            continue
        if "torch" in sys.modules:
            sys.modules["torch"].set_num_threads(1)
        try:
            answer = ("done", function(argument, report))
        except InputError as error:
            answer = ("error", _Carried(error))
        except Exception:
            answer = ("error", TaskError(traceback.format_exc()))
        pipe.send(answer)


def _keep_freed_memory() -> None:
    """What MALLOC_TRIM_THRESHOLD_ says; a process that was forked no longer reads it."""
    set_option = getattr(ctypes.CDLL(None), "mallopt", None)
    if set_option is not None:
        set_option(TRIM_THRESHOLD, int(WORKER["MALLOC_TRIM_THRESHOLD_"]))


def _die_with_parent(lifeline: Connection) -> None:
    try:
        lifeline.recv()
    except (EOFError, OSError):
        os._exit(1)


class _Carried:
    """An InputError on its way through a pipe."""

    def __init__(self, error: InputError) -> None:
        self.fields = (error.what, error.expected, error.got, error.cure)

    def __reduce__(self) -> tuple[Any, ...]:
        return (_restore, self.fields)


def _restore(what: str, expected: str, got: str, cure: str) -> InputError:
    return InputError(what, expected=expected, got=got, cure=cure)
