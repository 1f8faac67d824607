"""Workload of layer_sweep: how many tokens does a block read and write?"""

from __future__ import annotations

from mahals.evaluation.workload import of_arms, of_doses, share_above
from mahals.phases.layer_sweep.measure import Params, Task
from mahals.usage import TextSizes, Workload


def workload(task: Task, params: Params, texts: TextSizes, depth: int) -> Workload:
    """Of the unsteered model, the vector at each dose, and the null arms at one."""
    suite, above = params.suite, share_above((task.block,), depth)
    arms = len(suite.kls) + 2 * params.nulls
    measured = of_arms(1 + task.first + arms, above, suite, texts)
    measured = measured + of_doses(arms, above, suite, texts)
    return Workload(0, 0, 1) + measured
