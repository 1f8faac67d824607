"""Worker: what does a process do with a task: which rows, what kept, in what time?"""

from __future__ import annotations

import time
from collections import OrderedDict
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mahals.harness.runner.journal import Done
from mahals.harness.runner.keeping import Staged
from mahals.harness.runner.lab import LabSpec, WorkLab
from mahals.kernels import in_use
from mahals.models.checkpoints.device import out_of_memory, too_large
from mahals.records import canonical, digest
from mahals.usage import peak_bytes, recording

if TYPE_CHECKING:
    from mahals.harness.engines.process import Report

LABS_IN_MEMORY = 8

_labs: OrderedDict[tuple[Path, str], WorkLab] = OrderedDict()


@dataclass(frozen=True)
class MeasureArgs:
    """A task of a unit."""

    spec: LabSpec
    task: Any


def _lab(spec: LabSpec) -> WorkLab:
    """This process's lab of a unit."""
    key = (spec.journal.folder, spec.unit)
    if key not in _labs:
        _labs[key] = WorkLab(spec)
    _labs.move_to_end(key)
    while len(_labs) > LABS_IN_MEMORY:
        _labs.popitem(last=False)
    return _labs[key]


def measure_task(argument: MeasureArgs, report: Report) -> Done:
    """The rows of one task, with what it kept; the parent process puts them in the journal."""
    spec, began = argument.spec, time.monotonic()
    phase = spec.workspace.phase(spec.phase)
    lab = _lab(spec)
    lab.tell = report
    lab.needed = argument.task.models
    lab.staged = Staged(digest(argument.task))
    try:
        rows = []
        with recording() as used:
            for row in phase.measure(argument.task, spec.params, lab):
                if not isinstance(row, phase.row):
                    raise TypeError(f"{spec.phase} measured a {type(row).__name__}, not its Row")
                rows.append(canonical(row))
        seconds, kept = round(time.monotonic() - began, 3), dict(lab.staged.hashes)
        budgets = tuple(sorted(used.budgets))
        halved, peak = used.halved, peak_bytes()
        return Done(lab.staged.task, tuple(rows), kept, seconds, budgets, halved, in_use(), peak)
    except (MemoryError, RuntimeError) as error:
        if not out_of_memory(error):
            raise
        raise too_large(f"{spec.phase}/{spec.unit}", error) from error
    finally:
        lab.staged = None
