"""Judge factory: which judge scores this run's answers, and may it?"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from mahals.models.checkpoints.checkpoint import Loaded
from mahals.models.judges.judge import Judge, JudgeChoice
from mahals.models.judges.model import model_judge
from mahals.models.judges.organisms import lexical, truth
from mahals.models.judges.server import server_judge
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
