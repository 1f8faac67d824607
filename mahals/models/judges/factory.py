"""Judge factory: which judge scores this run's answers, and may it?"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from mahals.data.labelled_file import answer_lines
from mahals.models.judges.judge import Judge, JudgeChoice, RefusalChoice, RefusalJudge
from mahals.models.judges.organisms import lexical, lexical_refusal, true_refusal, truth
from mahals.models.judges.rules import rules_refusal
from mahals.records import InputError

if TYPE_CHECKING:  # the judges that need no model start without torch
    from mahals.models.checkpoints.checkpoint import Loaded

KNOWS_THE_WORLD = ("truth", "lexical")
PLAIN: Mapping[str, RefusalJudge] = {
    "truth": true_refusal,
    "lexical": lexical_refusal,
    "rules": rules_refusal,
}
"""Judges of refusals that need nothing besides the answers."""


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
    from mahals.models.judges.model import model_judge
    from mahals.models.judges.server import server_judge

    if choice.name == "model":
        return model_judge(load(choice.model))
    return server_judge(choice, folder / "verdicts.jsonl")


def check_refusal_judge(choice: RefusalChoice, weights: str) -> None:
    """Raises InputError for a judge of refusals that cannot know, or lacks what it needs."""
    where = f"judge {choice.name}"
    if choice.name == "truth" and weights != "organism":
        raise InputError(
            where,
            expected="answers of organisms, whose world it knows",
            got=f"weights={weights}",
            cure="name the judge rules, lexical, words or states (fitted on labelled answers), "
            "model (a checkpoint) or openai (a server)",
        )
    if choice.name in ("words", "states") and not choice.labelled:
        raise InputError(
            where,
            expected="a file of labelled answers, which it is fitted on",
            got="none",
            cure="name it: --labelled FILE.jsonl, or suite.judging.labelled",
        )
    if choice.name in ("states", "model", "openai") and not choice.model:
        raise InputError(
            where,
            expected="which model judges",
            got="none",
            cure="--model KEY (a registry key or a folder; for openai the server's name of it), "
            "or suite.judging.model",
        )


def make_refusal_judge(
    choice: RefusalChoice, load: Callable[[str], Loaded], folder: Path
) -> RefusalJudge:
    """As `make_judge`, of how far answers refuse; all but truth know prompts of any kind.

    `words` and `states` are fitted here, on the labelled file. Raises InputError for one that
    cannot be read or has a single label.
    """
    if choice.name in PLAIN:
        return PLAIN[choice.name]
    from mahals.models.judges.fitted import states_judge, words_judge
    from mahals.models.judges.model import model_refusal_judge
    from mahals.models.judges.server import server_refusal_judge

    if choice.name == "words":
        return words_judge(answer_lines(Path(choice.labelled)))
    if choice.name == "states":
        return states_judge(answer_lines(Path(choice.labelled)), load(choice.model))
    if choice.name == "model":
        return model_refusal_judge(load(choice.model))
    return server_refusal_judge(choice, folder / "verdicts.jsonl")
