"""What is stored where answers restart, or never do, and states know where they are?"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from typing import Any

import torch
from torch import Tensor

from mahals.data.world.words import HOW_TO
from mahals.evaluation.resistance import readings
from mahals.evaluation.resistance.held_sets import DetectorSet
from mahals.maths.metrics.resistance import ResistanceTrial
from mahals.models.activations.encoding import Encoded
from mahals.models.judges.restarts import segment
from mahals.models.saes.autoencoder import Sae
from mahals.models.saes.files import write_sae
from mahals.models.steering.interventions import Arm
from mahals.records import to_plain
from tests.support.resistance_lab import (
    SETTING,
    TOPICS,
    ResistanceLab,
    lines,
    resistance_lab,
    steps_of,
)
from tests.support.tiny_models import WIDTH, tokenizer
from tests.support.trials import trial

RESTART, NOTICING, ELSEWHERE, STEERED, DETECTOR = range(5)  # axes of planted states
DEAD = 31
AWAY = "Wait, that is off topic."
EARLY = 20  # characters
TOPIC_NAMES = tuple(HOW_TO)
Stored = tuple[ResistanceTrial, str]


def stored(prompt: str, concept: str, restarts: bool, **known: Any) -> Stored:
    """A trial about the concept, and its answer, which restarts and comes back or never does."""
    topic, text = TOPICS[prompt], steps_of(concept, 0)
    text += f" {AWAY} To {topic}: {steps_of(topic, 0)}" if restarts else f" {steps_of(concept, 2)}"
    starts = segment(text)
    given: dict[str, Any] = {
        "prompt": prompt,
        "concept": concept,
        "direction": f"contrast:{concept}",
        "boost": 2.0,
        "starts": starts,
        "scores": (0.0, 100.0)[: len(starts)],
    }
    return trial(**given | known), text


def stored_trials(situation: str = "free") -> list[Stored]:
    """Each evaluation prompt derailed along each other direction, once to come back, once not."""
    pairs = [(p, c) for p in SETTING.prompts("evaluation") for c in HOW_TO if c != TOPICS[p]]
    return [stored(p, c, s == 0, situation=situation, seed=s) for p, c in pairs for s in (0, 1)]


def identity() -> Sae:
    """Latent i is what states have along axis i, where that is above 0."""
    eye, zeros = torch.eye(WIDTH), torch.zeros(WIDTH)
    return Sae(eye, zeros, eye.clone(), zeros.clone(), "relu", False)


def reading_lab(
    trials: Sequence[Stored], detectors: tuple[int, ...] = (DETECTOR,), sae: Sae | None = None
) -> ResistanceLab:
    """A lab in which esr stored these trials of A and esr_detectors found these detectors."""
    lab = resistance_lab(concepts=TOPIC_NAMES)
    numbered = [(trial(**vars(t) | {"line": i}), text) for i, (t, text) in enumerate(trials)]
    lab.made["esr", "A"] = [t for t, _ in numbered]
    lab.plant("esr", "trials.jsonl", lines([(t.prompt, text) for t, text in numbered]))
    told = DetectorSet(
        block=SETTING.read_block,
        dictionary="shared",
        detectors=detectors,
        labels=tuple("" for _ in detectors),
        dead=(DEAD,),
        frequency=(0.1,) * WIDTH,
    )
    lab.plant("esr_detectors", "detectors-aligned.json", json.dumps(to_plain(told)))
    write_sae(lab.root / "esr_saes" / "A" / f"sae-{SETTING.read_block}", sae or identity())
    return lab


@contextmanager
def planted_states() -> Iterator[None]:
    """Inside, states know where they are: an axis for each thing, and noise on the others.

    RESTART: in the clause that restarts; ELSEWHERE: not there. NOTICING: before it, in answers that
    do restart. STEERED: where steering is on. DETECTOR: in the first characters of any answer.
    """

    def states(_: Any, encoded: Sequence[Encoded], arms: Sequence[Arm], __: int) -> list[Tensor]:
        return [_planted(e, arm) for e, arm in zip(encoded, arms, strict=True)]

    before, readings.token_states = readings.token_states, states
    try:
        yield
    finally:
        readings.token_states = before


def _planted(encoded: Encoded, arm: Arm) -> Tensor:
    own = encoded.ids[encoded.start : encoded.stop]
    found = _unsteered(own).clone()
    found[:, STEERED] = float(bool(arm.active))
    return found


@cache
def _unsteered(own: tuple[int, ...]) -> Tensor:
    ends = [len(str(tokenizer().decode(own[: k + 1]))) for k in range(len(own))]
    at = str(tokenizer().decode(own)).find(AWAY)
    noise = torch.rand(len(own), WIDTH, generator=torch.Generator().manual_seed(sum(own)))
    found = 0.1 * noise
    found[:, [*range(DETECTOR + 1), DEAD]] = 0.0
    for row, end in zip(found, ends, strict=True):  # the space before the clause is of it
        row[RESTART if 0 < at <= end <= at + len(AWAY) else ELSEWHERE] = 1.0
        row[NOTICING] = float(end < at)
        row[DETECTOR] = float(end <= EARLY)
    return found
