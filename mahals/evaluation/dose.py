"""Dose: at which strength does a direction move neutral text as far as all others do?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from mahals.evaluation.arms import Direction
from mahals.evaluation.bench import Bench
from mahals.models.generation.dose_search import dose_for_kl
from mahals.models.steering.interventions import Arm
from mahals.schema import UNSTEERED, DoseKind, Label, arm_title


@dataclass(frozen=True)
class Dosed:
    """A direction at a strength; `label` holds the dose."""

    label: Label
    strength: float | None  # None: not steered
    arm: Arm


NOT_STEERED = Dosed(UNSTEERED, None, Arm("unsteered", ()))


def at_lambda(
    found: Sequence[Direction], strength: float, kind: DoseKind = "lambda"
) -> list[Dosed]:
    """All directions at one strength in units of their norms; `kind` says what these are."""
    return [
        Dosed(replace(d.label, dose_kind=kind, dose=strength), strength, d.at(strength))
        for d in found
    ]


@dataclass(frozen=True)
class Reached:
    """The directions that a strength takes to a dose, and why the others have none."""

    dosed: tuple[Dosed, ...]
    missed: tuple[str, ...]  # one sentence each


def within_reach(at: Bench, found: Sequence[Direction], target: float) -> Reached:
    """Each direction at the strength where it moves the model by `target` nats per token.

    On neutral text or on safe prompts in chat form, whichever it moves more. The strength is found
    on the calibration texts; the KL that is reported is that of others.
    """
    return at_doses(found, doses_at(at, found, target), target)


@dataclass(frozen=True)
class Dose:
    """The strength at which a direction has its dose; None, and why, where none has it."""

    strength: float | None
    missed: str | None


def doses_at(at: Bench, found: Sequence[Direction], target: float) -> list[Dose]:
    """The dose of each direction, on the calibration texts."""
    if not found:
        return []
    doses = dose_for_kl(at.loaded, at.calibration.sets, [d.at for d in found], target)
    return [Dose(*each) for each in zip(doses.strengths, doses.missed, strict=True)]


def at_doses(found: Sequence[Direction], doses: Sequence[Dose], target: float) -> Reached:
    """Each direction at its dose of `target` nats per token."""
    dosed, missed = [], []
    for d, dose in zip(found, doses, strict=True):
        if dose.strength is None:
            missed.append(f"{arm_title(d.label)} at kl={target:g}: not measured, {dose.missed}")
        else:
            label = replace(d.label, dose_kind="kl", dose=target)
            dosed.append(Dosed(label, dose.strength, d.at(dose.strength)))
    return Reached(tuple(dosed), tuple(missed))
