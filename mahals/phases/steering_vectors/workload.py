"""Workload of steering_vectors: how many tokens do its pairs and its selection read?"""

from __future__ import annotations

from mahals.evaluation.suite import steered_blocks
from mahals.evaluation.workload import of_doses, of_reading, share_above
from mahals.phases.steering_vectors.measure import Params, Task
from mahals.usage import TextSizes, Workload


def workload(task: Task, params: Params, texts: TextSizes, depth: int) -> Workload:
    """The pairs, chosen and rejected, by both checkpoints; then every method on selection."""
    pairs = min(params.pairs, texts.pairs) if params.pairs else texts.pairs
    above = share_above(steered_blocks(params.layers, depth, "hub"), depth)
    arms = len(params.methods) + params.selection_draws
    read = Workload(4 * pairs * min(texts.pair_tokens, params.tokens), 0, 2)
    return read + of_reading(arms, above, texts) + of_doses(arms, above, params.suite, texts)
