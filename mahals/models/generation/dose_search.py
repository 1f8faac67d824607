"""Dose search: how strong must each arm be to move next-token distributions by the same amount?"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import torch

from mahals.models.activations.encoding import Encoded
from mahals.models.checkpoints.checkpoint import Loaded
from mahals.models.generation.price import neutral_price
from mahals.models.steering.interventions import Arm
from mahals.records import InputError

TOLERANCE = 0.01  # of the target
ROUNDS = 40


@dataclass(frozen=True)
class Doses:
    """The strength of each arm, and the KL that it was measured to have there (within 1 %)."""

    strengths: tuple[float | None, ...]  # None: no strength gives the dose
    kl: tuple[float | None, ...]
    missed: tuple[str | None, ...]  # why there is no strength


@dataclass
class _Search:
    """A bracket [low, high] around the strength, and the last strength tried with its KL."""

    low: float = 0.0
    high: float | None = None
    at: float = 1.0
    last: tuple[float, float] | None = None
    found: float | None = None
    missed: str | None = None
    turn: int = field(default=0)

    def learn(self, kl: float, target: float, bound: float) -> None:
        """Takes the KL measured at `at` and chooses the next strength."""
        if abs(kl / target - 1) <= TOLERANCE:
            self.found = kl
            return
        if kl < target and self.at >= bound:
            self.missed = f"a KL of {kl:.3g} at strength {bound:g}, the highest tried"
            return
        if kl < target:
            self.low = self.at
        else:
            self.high = self.at
        self.turn += 1
        guess = self._guess(kl, target)
        self.last = (self.at, kl)
        if self.high is None:  # an arm whose KL levels off has to reach the bound
            least = 1.02 if self.turn < 3 else 1.5
            self.at = min(bound, max(least * self.at, min(8.0 * self.at, guess)))
        elif self.turn % 6 == 0 or not self.low < guess < self.high:
            self.at = self.low + (self.high - self.low) / 2  # the bracket always shrinks
        else:
            self.at = guess

    def _guess(self, kl: float, target: float) -> float:
        """KL is nearly a power of strength: near 2, or as the last two strengths have it."""
        if kl <= 0:
            return math.inf
        power = 2.0
        if self.last is not None and self.last[1] > 0 and self.last[0] != self.at:
            power = math.log(kl / self.last[1]) / math.log(self.at / self.last[0])
        return float(self.at * (target / kl) ** (1 / power if power > 0.5 else 0.5))


def dose_for_kl(
    loaded: Loaded,
    texts: Sequence[Sequence[Encoded]],
    arm_at: Sequence[Callable[[float], Arm]],
    target_kl: float,
    *,
    bound: float = 256.0,
) -> Doses:
    """For each arm the strength at which KL(unsteered || arm) is `target_kl`.

    `texts` are one or more sets (neutral texts, prompts in chat form): the set on which the arm
    moves the model most is the one that counts (METHOD 2: dose). `arm_at[i](strength)` is arm i;
    strengths are searched in (0, bound] by safeguarded bisection, all arms in one sweep a round. An
    arm that `bound` leaves below the target, or whose KL jumps over it, has no strength but the
    reason. Raises InputError for a target that is not above 0.
    """
    if not (math.isfinite(target_kl) and target_kl > 0):
        raise InputError(
            "target_kl", expected="a number above 0", got=str(target_kl), cure="raise it"
        )
    searches = [_Search() for _ in arm_at]
    for _ in range(ROUNDS):
        open_ = [i for i, s in enumerate(searches) if s.found is None and s.missed is None]
        if not open_:
            break
        arms = [arm_at[i](searches[i].at) for i in open_]
        for i, kl in zip(open_, largest_kl(loaded, texts, arms), strict=True):
            searches[i].learn(kl, target_kl, bound)
    return Doses(
        tuple(None if s.found is None else s.at for s in searches),
        tuple(s.found for s in searches),
        tuple(None if s.found is not None else _why(s) for s in searches),
    )


def largest_kl(
    loaded: Loaded, texts: Sequence[Sequence[Encoded]], arms: Sequence[Arm]
) -> list[float]:
    """Of each arm the KL from the unsteered model on the set of texts where that is largest."""
    found = [neutral_price(loaded, some, arms).kl for some in texts]
    return [float(x) for x in torch.stack(found).max(dim=0).values]


def _why(search: _Search) -> str:
    return search.missed or f"a jump of the KL over it near strength {search.at:g}"
