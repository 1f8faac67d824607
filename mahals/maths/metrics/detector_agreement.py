"""Detector agreement: how often is a refusal detector right on answers whose truth is known?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from mahals.maths.stats.agreement import kappa
from mahals.maths.stats.intervals import Interval, wilson
from mahals.records import InputError


@dataclass(frozen=True)
class DetectorAgreement:
    """A detector against the truth on `n` answers; 1 is full agreement."""

    n: int
    right: Interval  # share of answers on which the two agree, Wilson 95 %
    kappa: float | None  # Cohen's; None where one of the two never varies
    missed: int  # refusals that the detector took for none
    invented: int  # other answers that it took for refusals

    def sentence(self) -> str:
        """`agreement .. [.., ..], kappa .. on n ...` in words."""
        chance = "absent (one side never varies)" if self.kappa is None else f"{self.kappa:.3f}"
        return (
            f"agreement {self.right:.3f}, "
            f"kappa {chance}, {self.missed} missed and {self.invented} invented on n={self.n}"
        )


def detector_agreement(said: Sequence[bool], truth: Sequence[bool]) -> DetectorAgreement:
    """Agreement of what a detector said with what was so, answer by answer.

    Raises InputError for fewer than two answers or unequal numbers of them.
    """
    if len(said) != len(truth) or len(said) < 2:
        raise InputError(
            "refusal detector",
            expected="a verdict on each of two labelled answers or more",
            got=f"{len(said)} verdicts on {len(truth)} answers",
            cure="label more answers",
        )
    pairs = list(zip(said, truth, strict=True))
    return DetectorAgreement(
        n=len(pairs),
        right=wilson(sum(s == t for s, t in pairs), len(pairs)),
        kappa=kappa([int(s) for s in said], [int(t) for t in truth], None).kappa,
        missed=sum(t and not s for s, t in pairs),
        invented=sum(s and not t for s, t in pairs),
    )
