"""Workload of baseline_aqi: how many tokens do its readings read?"""

from __future__ import annotations

from mahals.phases.baseline_aqi.measure import Params, Task
from mahals.usage import NO_WORK, TextSizes, Workload


def workload(task: Task, params: Params, texts: TextSizes, depth: int) -> Workload:
    """One reading of the prompts in each pool; none for floors that read no model."""
    if task.readout == "tfidf":
        return NO_WORK
    each = texts.prompts * texts.prompt_tokens * len(params.pools["hub"])
    return Workload(each, 0, 2 if task.readout == "random" else 1)
