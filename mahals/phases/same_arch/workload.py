"""Workload of same_arch: how many tokens do its sweeps read and write?"""

from __future__ import annotations

from mahals.data.texts import AXIOMS
from mahals.evaluation.suite import steered_blocks
from mahals.evaluation.workload import of_arms, of_doses, of_nulls, of_reading, share_above
from mahals.phases.same_arch.measure import Params, Task
from mahals.usage import TextSizes, Workload


def workload(task: Task, params: Params, texts: TextSizes, depth: int) -> Workload:
    """Of the references, or of a sweep: its grid, its doses, both families of nulls, selection."""
    suite, both = params.suite, Workload(0, 0, 2)
    if task.operator is None:
        return both + of_arms(3, 1.0, suite, texts)
    above = share_above(steered_blocks(params.layers, depth, "hub"), depth)
    moving = sum(x != 0 for x in params.lambdas)
    dosed = 2 * len(suite.kls)
    arms = 1 + (0 in params.lambdas) + moving * (2 + params.propensity_draws) + dosed + 1
    effects = len(AXIOMS) if params.effects else 0
    return (
        both
        + of_arms(arms, above, suite, texts)
        + of_doses(dosed + 1 + effects, above, suite, texts)
        + of_nulls(2, above, suite, texts)
        + of_reading(effects, above, texts)
        + of_arms(1 + moving + len(suite.kls), above, suite, texts)
    )
