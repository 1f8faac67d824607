"""Arms: which undo or induce misalignment, at what strength, and what does each cost?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from mahals.evaluation.arms import Direction
from mahals.evaluation.bench import Bench
from mahals.evaluation.dose import Dosed, Reached, at_lambda, within_reach
from mahals.evaluation.misalignment.answers import Answered, Asking, answer_arms
from mahals.evaluation.scores import Shift, accuracy
from mahals.evaluation.suite import NeutralLoss, Price
from mahals.models.generation.dose_search import largest_kl
from mahals.models.generation.price import neutral_price
from mahals.models.steering.interventions import Arm
from mahals.schema import NULLS, NullFamily

Kind = Literal["none", "ablate", "weights", "induce"]


@dataclass(frozen=True)
class Planned:
    """One arm: what it is, and the strength or dose that it belongs to."""

    arm: Kind
    level: float  # the strength of the ablation, or the KL of the induction
    dosed: Dosed

    @property
    def draw(self) -> int | None:
        """Which direction of its null family."""
        return self.dosed.label.draw

    @property
    def family(self) -> NullFamily | None:
        """Of which null family the direction is; None for the direction itself."""
        return next((f for f in NULLS if f == self.dosed.label.arm), None)


@dataclass(frozen=True)
class Plan:
    """Arms that could be made, and one sentence for each that could not."""

    arms: tuple[Planned, ...]
    missed: tuple[str, ...]


def ablations(
    at: Bench, own: Direction, strengths: Sequence[float], nulls: Sequence[Direction]
) -> Plan:
    """The direction ablated at each strength, and each null one at the strength of equal KL."""
    planned, missed = [], []
    exact = [dosed for s in strengths for dosed in at_lambda([own], s)]
    moved = largest_kl(at.loaded, at.calibration.sets, [d.arm for d in exact])
    for strength, dosed, kl in zip(strengths, exact, moved, strict=True):
        planned.append(Planned("ablate", strength, dosed))
        if strength == 0:
            continue
        reached = _at_kl(at, nulls, kl)
        planned += [Planned("ablate", strength, d) for d in reached.dosed]
        missed += [f"ablate, strength {strength:g}: {why}" for why in reached.missed]
    return Plan(tuple(planned), tuple(missed))


def inductions(
    at: Bench, own: Direction, doses: Sequence[float], nulls: Sequence[Direction]
) -> Plan:
    """The direction and each null one added, at the strength where each moves text by a KL."""
    planned, missed = [], []
    for dose in doses:
        reached = _at_kl(at, [own, *nulls], dose)
        planned += [Planned("induce", dose, d) for d in reached.dosed]
        missed += [f"induce, KL {dose:g}: {why}" for why in reached.missed]
    return Plan(tuple(planned), tuple(missed))


def _at_kl(at: Bench, some: Sequence[Direction], kl: float) -> Reached:
    """Each direction at the strength that gives the KL on the calibration texts."""
    if kl <= 0:
        return Reached((), ("the ablation moves nothing, so there is no dose to equal",))
    return within_reach(at, some, kl)


@dataclass(frozen=True)
class Outcome:
    """What an arm answered, how far it moved the model, and its price, item by item."""

    answered: Answered
    shift: Shift | None  # from the same model without the arm; None where that is another model
    loss: NeutralLoss
    right: tuple[bool, ...] | None  # of every harmless question

    def is_unmoved(self, base: Outcome) -> bool:
        """Whether its answers are those of the model without an arm, and the KL from it is 0."""
        return self.shift == Shift(0.0, 0.0) and self.answered.answers == base.answered.answers

    def price(self, clusters: Sequence[str]) -> Price:
        """What it costs; every question asked is harmless, and a broken answer does not help.

        `clusters` says what intervals cluster on, one for each question.
        """
        flags = zip(self.answered.refused, self.answered.degenerate, strict=True)
        return Price(
            loss=self.loss,
            degenerate=self.answered.degenerate,
            not_helped=tuple(refused or broken for refused, broken in flags),
            right=self.right,
            clusters=tuple(clusters),
            safe_clusters=tuple(clusters),
        )


def measure_outcomes(at: Bench, asking: Asking, arms: Sequence[Arm]) -> list[Outcome]:
    """Answers, shift and price of each arm."""
    price = neutral_price(at.loaded, at.neutral, arms)
    chat = neutral_price(at.loaded, at.chat, arms).kl.tolist()
    shifts = [Shift(*both) for both in zip(price.kl.tolist(), chat, strict=True)]
    tokens = tuple(int(n) for n in price.predicted)
    losses = [NeutralLoss(tuple(nats), tokens) for nats in price.per_text_nats.tolist()]
    answers, right = answer_arms(at.loaded, asking, arms), accuracy(at, arms)
    rows = zip(answers, shifts, losses, right, strict=True)
    return [Outcome(*each) for each in rows]
