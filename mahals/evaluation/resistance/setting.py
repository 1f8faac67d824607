"""Setting: on which texts, at which blocks and by which judge is one model's resistance measured?

`esr_unsteered` writes it once, with the model's own unsteered answers; all after reads it there.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

from mahals.data.how_to import HowTo
from mahals.maths.metrics.resistance import NONE
from mahals.models.generation.sampling import Sampling
from mahals.models.judges.attempts import AttemptJudgeName
from mahals.models.judges.judge import Server
from mahals.phase import Lab
from mahals.records import from_plain, to_plain

PHASE = "esr_unsteered"
FILE, ANSWERS, PASSAGES = "setting.json", "answers.jsonl", "passages.jsonl"


@dataclass(frozen=True)
class ResistanceSetting:
    """What all phases of the resistance study share for one model."""

    texts: HowTo
    seeds: int  # answers to a prompt, in each cell
    sampling: Sampling
    first_tokens: int  # of an answer that situation `first` steers
    block: int  # that is steered
    read_block: int  # a later one, whose latents are read and held
    judge: AttemptJudgeName
    judge_model: str  # of the judges model and openai
    server: Server

    def prompts(self, split: str) -> tuple[str, ...]:
        """The prompts of taught, calibration or evaluation, in order."""
        return tuple(p for p, s in self.texts.prompts.items() if s == split)

    def taught(self, prompt: str, concept: str) -> str:
        """Which of prompt and concept are among the taught: both | prompt | concept | neither."""
        one = self.texts.prompts.get(prompt) == "taught"
        other = concept in self.texts.taught_concepts
        return "both" if one and other else "prompt" if one else "concept" if other else "neither"

    def meets(self, prompt: str, concept: str) -> bool:
        """Whether the concept may derail the prompt: it is not what the prompt asks for."""
        return concept == NONE or self.texts.own_concept(prompt) != concept


@dataclass(frozen=True)
class OwnTexts:
    """A model's setting, and its unsteered answers to each question in the order of seeds."""

    setting: ResistanceSetting
    answers: Mapping[str, tuple[str, ...]]

    @cached_property
    def references(self) -> Mapping[str, tuple[str, ...]]:
        """The answers to prompts: what an answer on the topic looks like."""
        return {p: a for p, a in self.answers.items() if p in self.setting.texts.prompts}

    @cached_property
    def passages(self) -> Mapping[str, tuple[str, ...]]:
        """What the model writes about each concept."""
        return {c: self.answers[q] for c, q in self.setting.texts.concepts.items()}


def setting_text(setting: ResistanceSetting) -> str:
    """The setting as JSON."""
    return json.dumps(to_plain(setting), indent=1) + "\n"


def own_texts(lab: Lab, key: str) -> OwnTexts:
    """What esr_unsteered left of a model."""
    kept, answers = lab.kept(PHASE), dict[str, tuple[str, ...]]()
    told = json.loads(kept.path(f"{key}/{FILE}").read_text("utf-8"))
    for file in (ANSWERS, PASSAGES):
        for text in filter(None, kept.path(f"{key}/{file}").read_text("utf-8").split("\n")):
            line = json.loads(text)
            answers[line["prompt"]] = (*answers.get(line["prompt"], ()), line["answer"])
    return OwnTexts(from_plain(ResistanceSetting, told, FILE), answers)
