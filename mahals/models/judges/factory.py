"""Judge factory: which judge scores this run's answers, and may it?"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from mahals.models.checkpoints.checkpoint import Loaded
from mahals.models.judges.judge import Judge, JudgeChoice, RefusalJudge
from mahals.models.judges.model import model_judge, model_refusal_judge
from mahals.models.judges.organisms import lexical, lexical_refusal, true_refusal, truth
from mahals.models.judges.server import server_judge, server_refusal_judge
from mahals.records import InputError

KNOWS_THE_WORLD = ("truth", "lexical")


def check_judge(choice: JudgeChoice, weights: str, world: bool) -> None:
    """Raises InputError for a judge that cannot know: truth and lexical outside the world.

    `world`: whether the questions are those of the organisms' world.
    """
    if choice.name in KNOWS_THE_WORLD and (weights != "organism" or not world):
        raise InputError(
            f"judge {choice.name}",
            expected="questions and models of the synthetic world, which it knows",
            got=f"weights={weights}" + ("" if world else ", questions of your own"),
            cure="set judge.name to model (judge.model: a registry key) or openai (judge.server)",
        )


def make_judge(choice: JudgeChoice, load: Callable[[str], Loaded], folder: Path) -> Judge:
    """The judge. `load` gives the chat checkpoint of a key; verdicts of a server lie in `folder`.

    Raises InputError for a judge that cannot start.
    """
    if choice.name == "truth":
        return truth
    if choice.name == "lexical":
        return lexical
    if choice.name == "model":
        return model_judge(load(choice.model))
    return server_judge(choice, folder / "verdicts.jsonl")


def check_refusal_judge(choice: JudgeChoice, weights: str) -> None:
    """Raises InputError for a judge of refusals that cannot know: truth outside the world."""
    if choice.name == "truth" and weights != "organism":
        raise InputError(
            "judge truth",
            expected="answers of organisms, whose world it knows",
            got=f"weights={weights}",
            cure="use the judge lexical, model (a checkpoint) or openai (a server)",
        )


def make_refusal_judge(
    choice: JudgeChoice, load: Callable[[str], Loaded], folder: Path
) -> RefusalJudge:
    """As `make_judge`, of whether answers are refusals; lexical knows prompts of any kind."""
    if choice.name == "truth":
        return true_refusal
    if choice.name == "lexical":
        return lexical_refusal
    if choice.name == "model":
        return model_refusal_judge(load(choice.model))
    return server_refusal_judge(choice, folder / "verdicts.jsonl")
