"""Workload of preference_tuning: how many tokens do its trainings and its gate read and write?"""

from __future__ import annotations

from mahals.phases.preference_tuning.measure import Params, Task
from mahals.usage import TextSizes, Workload

HELD = 6  # checkpoints at once: the start, what is trained, its gradients and merged shares of it
BACKWARD = 2  # passes that the gradient of one costs, besides it
EXAMINED = 4  # checkpoints at the gate: before, sft, dpo, sham


def workload(task: Task, params: Params, texts: TextSizes, depth: int) -> Workload:
    """Of chosen answers, of preferences twice (the sham), of own answers, and of the gate.

    As many requests as `requests.most` says, twice over with the harmless ones; the study's own
    pairs stand for the length of a request with its answer.
    """
    requests = 2 * (params.requests.most or texts.pairs)
    steps = params.sft.steps * params.sft.rows + 2 * 2 * params.dpo.steps * params.dpo.rows
    trained = (1 + BACKWARD) * steps * texts.pair_tokens
    reference = 2 * 2 * requests * texts.pair_tokens
    shares = EXAMINED + len(params.dpo.shares)
    priced = shares * min(texts.neutral, params.suite.neutral) * texts.neutral_tokens
    gate = EXAMINED * params.requests.gate * requests
    own = (1 - params.requests.gate) * requests * params.own_answers.tokens
    written = own + gate * params.suite.new_tokens_of("hub")
    asked = (requests + gate) * texts.prompt_tokens
    return Workload(trained + reference + priced + asked, written, HELD)
