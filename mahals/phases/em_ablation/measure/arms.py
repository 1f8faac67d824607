"""Arms: which undo or induce misalignment, at what strength, and what does each cost?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from mahals.evaluation.arms import Direction
from mahals.evaluation.bench import Bench
from mahals.evaluation.scores import accuracy
from mahals.evaluation.dose import Dosed, Reached, at_lambda, within_reach
from mahals.evaluation.misalignment.answers import Answered, Asking, answer_arms
from mahals.evaluation.suite import Price
from mahals.models.generation.price import neutral_price
from mahals.models.steering.interventions import Arm


@dataclass(frozen=True)
class Planned:
    """One arm: what it is, and the strength or dose that it belongs to."""

    arm: str  # none, ablate, random, induce, induce_random, weights, weights_random
    level: float  # the strength of the ablation, or the KL of the induction
    dosed: Dosed

    @property
    def draw(self) -> int | None:
        """Which random direction."""
        return self.dosed.label.draw


@dataclass(frozen=True)
class Plan:
    """Arms that could be made, and one sentence for each that could not."""

    arms: tuple[Planned, ...]
    missed: tuple[str, ...]


def ablations(
    at: Bench, own: Direction, strengths: Sequence[float], random: Sequence[Direction]
) -> Plan:
    """The direction ablated at each strength, and each random one at the strength of equal KL."""
    planned, missed = [], []
    exact = [dosed for s in strengths for dosed in at_lambda([own], s)]
    moved = neutral_price(at.loaded, at.calibration, [d.arm for d in exact]).kl.tolist()
    for strength, dosed, kl in zip(strengths, exact, moved, strict=True):
        planned.append(Planned("ablate", strength, dosed))
        if strength == 0:
            continue
        reached = _at_kl(at, random, kl)
        planned += [Planned("random", strength, d) for d in reached.dosed]
        missed += [f"random, strength {strength:g}: {why}" for why in reached.missed]
    return Plan(tuple(planned), tuple(missed))


def inductions(
    at: Bench, own: Direction, doses: Sequence[float], random: Sequence[Direction]
) -> Plan:
    """The direction and each random one added, at the strength where each moves text by a KL."""
    planned, missed = [], []
    for dose in doses:
        for arm, some in (("induce", [own]), ("induce_random", random)):
            reached = _at_kl(at, some, dose)
            planned += [Planned(arm, dose, d) for d in reached.dosed]
            missed += [f"{arm}, KL {dose:g}: {why}" for why in reached.missed]
    return Plan(tuple(planned), tuple(missed))


def _at_kl(at: Bench, some: Sequence[Direction], kl: float) -> Reached:
    """Each direction at the strength that gives the KL on the calibration texts."""
    if kl <= 0:
        return Reached((), ("the ablation moves nothing, so there is no dose to equal",))
    return within_reach(at, some, kl)


@dataclass(frozen=True)
class Outcome:
    """What an arm answered, and its price: lower KL and ratio, higher accuracy are better."""

    answered: Answered
    kl: float | None  # nats per token on neutral text, from the same model without the arm
    perplexity_ratio: float
    safe_accuracy: float | None

    def is_unmoved(self, base: Outcome) -> bool:
        """Whether its answers are those of the model without an arm, and the KL from it is 0."""
        return self.kl == 0 and self.answered.answers == base.answered.answers

    @property
    def price(self) -> Price:
        """Its price beside that of the same model without an arm, whose ratio is 1."""
        return Price(
            perplexity=self.perplexity_ratio,
            degenerate_share=float(np.mean(self.answered.degenerate)),
            refusal_safe=float(np.mean(self.answered.refused)),
            safe_accuracy=self.safe_accuracy,
        )


def measure_outcomes(at: Bench, asking: Asking, arms: Sequence[Arm]) -> list[Outcome]:
    """Answers and price of each arm; `arms[0]` is the model without one, the ratio's base."""
    price = neutral_price(at.loaded, at.neutral, arms)
    ratios = (price.perplexity / price.perplexity[0]).tolist()
    answers, right = answer_arms(at.loaded, asking, arms), accuracy(at, arms)
    rows = zip(answers, price.kl.tolist(), ratios, right, strict=True)
    return [Outcome(a, k, r, s) for a, k, r, s in rows]
