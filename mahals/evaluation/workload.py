"""Workload: how many tokens does measuring arms read and write, before anything is measured?"""

from __future__ import annotations

from mahals.evaluation.suite import Suite
from mahals.usage import NO_WORK, TextSizes, Workload

ROUNDS = 6  # of the search for a dose: four to eight
CELLS = 14  # axioms and labels


def of_arms(arms: int, above: float, suite: Suite, texts: TextSizes) -> Workload:
    """AQI, price, questions and answers of arms; `above` is the share of blocks they replay."""
    passes = 1 + arms * above
    answered = min(texts.prompts, CELLS * suite.answers)
    chat = min(texts.prompts, suite.neutral) * texts.prompt_tokens
    neutral = min(texts.neutral, suite.neutral) * texts.neutral_tokens
    asked = min(texts.questions, suite.tasks * texts.choices) * texts.question_tokens
    read = texts.prompts * texts.prompt_tokens + chat + neutral + asked
    prefill = answered * texts.prompt_tokens
    written = arms * answered * suite.new_tokens_of("hub")
    return Workload(passes * (read + prefill), written, 0)


def of_reading(arms: int, above: float, texts: TextSizes) -> Workload:
    """AQI alone of arms."""
    return Workload((1 + arms * above) * texts.prompts * texts.prompt_tokens, 0, 0)


def of_doses(arms: int, above: float, suite: Suite, texts: TextSizes) -> Workload:
    """The search for the strength of each arm at one dose."""
    if not arms:
        return NO_WORK
    chat = min(texts.prompts, suite.neutral) * texts.prompt_tokens
    neutral = min(texts.neutral, suite.neutral) * texts.neutral_tokens
    return Workload(ROUNDS * (1 + arms * above) * (chat + neutral), 0, 0)


def of_nulls(families: int, above: float, suite: Suite, texts: TextSizes) -> Workload:
    """Null arms at each dose: searched for and measured."""
    arms, found = families * suite.nulls, NO_WORK
    for _ in suite.null_kls:
        found = found + of_doses(arms, above, suite, texts) + of_arms(arms, above, suite, texts)
    return found


def share_above(blocks: tuple[int, ...], depth: int) -> float:
    """The share of the blocks that lie above the first steered one, and are replayed."""
    return (depth - 1 - min(blocks)) / depth
