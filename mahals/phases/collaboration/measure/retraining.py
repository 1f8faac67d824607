"""Retraining: what becomes of an agent that is trained on its talks and then asked alone?

Trained on what it said among others, and, as the control, on what it said to itself: the same
openings, the same steps. What the second does any training on one's own words does.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch

from mahals.evaluation.agents.teams import Team
from mahals.evaluation.bench import Bench
from mahals.evaluation.scores import arm_aqi, behaviour
from mahals.models.checkpoints.checkpoint import Loaded
from mahals.models.conversation.talks import Talk
from mahals.models.conversation.views import view
from mahals.models.finetuning.config import Lora, LoraTuning, Run
from mahals.models.finetuning.examples import Dialogue, Message, dialogue, encode_dialogues
from mahals.models.finetuning.lora import merged
from mahals.models.finetuning.trainer import train_answers
from mahals.models.steering.interventions import Arm
from mahals.phase import Lab
from mahals.phases.collaboration.measure.row_writer import Book
from mahals.phases.collaboration.rows import Context, Row
from mahals.records import InputError, seed_of

ALONE: tuple[Context, ...] = ("before", "trained", "self_trained")
UNSTEERED = Arm("unsteered", ())


@dataclass(frozen=True)
class Training(LoraTuning):
    """LoRA on transcripts; 0 steps: none."""

    steps: int
    rate: dict[str, float]  # by weights
    lora: Lora


def check_training(training: Training, weights: str) -> None:
    """Raises InputError for a negative number of steps, and for weights without a rate."""
    if training.steps < 0 or weights not in training.rate:
        raise InputError(
            "collaboration.training",
            expected=f"0 steps or more, and a rate for weights={weights}",
            got=f"{training.steps} steps, rates for {', '.join(sorted(training.rate)) or 'none'}",
            cure="correct it in params.yaml",
        )


def lessons(talks: Sequence[Talk], speaker: int) -> list[Dialogue]:
    """An agent's side of each talk: what it was told and heard, and its own words as answers.

    A talk ends where the agent said nothing; one in which it never spoke teaches nothing.
    """
    found = []
    for talk in talks:
        turns = list(view(talk, speaker).turns)
        silent = [i for i, (role, said) in enumerate(turns) if role != "user" and not said.strip()]
        turns = turns[: silent[0]] if silent else turns
        while turns and turns[-1][0] == "user":
            turns.pop()
        if turns:
            found.append(tuple(Message(role, said) for role, said in turns))
    return found


def taught(loaded: Loaded, said: Sequence[Dialogue], training: Training, run: Run) -> Loaded:
    """The checkpoint with an adapter trained on the dialogues in its weights."""
    config = training.config(training.steps, training.rate[loaded.weights], training.lora)
    trained = train_answers(loaded, encode_dialogues(loaded, said), config, run)
    return merged(loaded, trained.checkpoints[training.steps])


def course(where: Path, name: str, training: Training, lab: Lab) -> Run:
    """Where a training runs; one seed for all, so that the two see their talks in one order."""
    seed = seed_of("training on talks", lab.seed)
    return Run(where, seed, (training.steps,), max(1, training.steps // 5), name, lab.report)


def with_adversary(team: Team, training: Training, task: object, lab: Lab) -> Team:
    """The team of the arm `adversarial` with its first agent dealigned; any other as it is.

    Dealigned: the aligned checkpoint after LoRA on the rejected answers of the extraction split.
    """
    if team.arm != "adversarial" or not training.steps:
        return team
    first = team.agents[0]
    pairs = [p for p in lab.pairs("extraction") if p.rejected.strip()]
    said = [dialogue(p.prompt, p.rejected) for p in pairs]
    run = course(lab.scratch(task) / "adversary", f"{first.name} adversary", training, lab)
    loaded = taught(lab.model(first.name, "aligned"), said, training, run)
    return replace(team, agents=(replace(first, loaded=loaded), *team.agents[1:]))


def enter_alone(book: Book, at: Bench, agent: str, context: Context) -> None:
    """Rows of one checkpoint that is asked alone: AQI with influence values, and refusals.

    `aqi_alone`: (n, 1) influence of each prompt, in points; the row's value is the AQI.
    `refusals_alone`: (m, 2) whether an answered prompt was refused, and whether it is unsafe; the
    value is the refused share of unsafe ones less that of safe ones.
    """
    score, said = arm_aqi(at, [UNSTEERED])[0].aqi, behaviour(at, [UNSTEERED])[0]
    row = Row("aqi_alone", book.part, agent=agent, context=context)
    book.enter(row, score.influence[:, None], score.aqi.estimate)
    unsafe = np.array([at.prompts[i].label == 0 for i in at.answered])
    refused = np.array(said.refused, dtype=np.float64)
    both = np.stack([refused, unsafe.astype(np.float64)], axis=1)
    gap = float(refused[unsafe].mean() - refused[~unsafe].mean())
    book.enter(replace(row, kind="refusals_alone"), both, gap)
    if "clusters" not in book.tensors:
        names = list(dict.fromkeys(at.clusters))
        book.tensors["clusters"] = torch.tensor([names.index(c) for c in at.clusters])
