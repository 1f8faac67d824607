"""Workload of cross_arch: how many tokens do its transfers read and write?"""

from __future__ import annotations

from mahals.evaluation.suite import steered_blocks
from mahals.evaluation.workload import of_arms, of_doses, of_nulls, share_above
from mahals.phases.cross_arch.measure import CONTROLS, Params, Task
from mahals.usage import TextSizes, Workload


def workload(task: Task, params: Params, texts: TextSizes, depth: int) -> Workload:
    """Of the target's own arms, or of a source's: maps fitted, arms of each map and their nulls."""
    suite = params.suite
    above = share_above(steered_blocks(params.layers, depth, "hub"), depth)
    if task.source == CONTROLS:
        arms, nulls, fitted = 2 * len(suite.kls) + 2, of_nulls(2, above, suite, texts), 0.0
    else:
        arms = len(params.maps) * len(suite.kls) + params.draws * len(params.controls)
        nulls = of_nulls(1, above, suite, texts)
        fitted = 2 * (texts.neutral * texts.neutral_tokens + texts.prompts * texts.prompt_tokens)
    searched = of_doses(arms, above, suite, texts)
    measured = of_arms(arms, above, suite, texts) + of_arms(arms, above, suite, texts)
    return Workload(fitted, 0, 2 * len(task.models)) + searched + measured + nulls
