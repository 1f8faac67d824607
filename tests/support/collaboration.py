"""Collaboration: with which small values is the phase run here?"""

from __future__ import annotations

from dataclasses import replace

from mahals.data.texts import WorldChoice
from mahals.models.finetuning.config import Lora
from mahals.phases.collaboration.measure import Params
from mahals.phases.collaboration.measure.retraining import Training
from tests.support.tiny_lab import SUITE

NO_TRAINING = Training(2, 2, 0, 0, {"organism": 0.01}, Lora(2, 4, 0.0, "attention"))
PARAMS = Params(
    agents=2,
    topology="pair",
    rounds=1,
    max_new_tokens=2,
    loop=0,
    conversations=3,
    prompts=2,
    answers=1,
    arms=("none", "weakest", "adversarial"),
    draws=2,
    method="mean_difference",
    layers="auto",
    operator="add",
    tasks=("relay",),
    split_tasks=2,
    shuffles=1,
    user_tasks="none",
    window=3,
    training=NO_TRAINING,
    adversary=NO_TRAINING,
    world=WorldChoice(0),
    suite=replace(SUITE, dose_kl=0.01),
)
