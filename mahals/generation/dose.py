"""How strong must each arm be to move the next-token distributions by the same amount?"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from mahals.activations import Encoded
from mahals.generation.price import neutral_price
from mahals.models import Loaded
from mahals.records import InputError
from mahals.steering import Arm

TOLERANCE = 0.01  # of the target
ROUNDS = 40


@dataclass(frozen=True)
class Doses:
    """The strength of each arm, and the KL that it was measured to have there (within 1 %)."""

    strengths: tuple[float, ...]
    kl: tuple[float, ...]


@dataclass
class _Search:
    """A bracket [low, high] around the strength, with the KL at its ends."""

    low: float = 0.0
    kl_low: float = 0.0
    high: float | None = None
    kl_high: float = math.inf
    at: float = 1.0
    found: float | None = None
    turn: int = field(default=0)

    def learn(self, kl: float, target: float, bound: float) -> None:
        """Takes the KL measured at `at` and chooses the next strength."""
        if abs(kl / target - 1) <= TOLERANCE:
            self.found = kl
            return
        if kl < target:
            self.low, self.kl_low = self.at, kl
        else:
            self.high, self.kl_high = self.at, kl
        self.turn += 1
        if self.high is None:
            guess = 8.0 if kl <= 0 else min(8.0, max(1.5, 1.05 * math.sqrt(target / kl)))
            self.at = min(bound, self.at * guess)
        else:
            self.at = self.low + (self.high - self.low) * self._share(target)

    def _share(self, target: float) -> float:
        """Where in the bracket to look: KL grows about as strength squared."""
        if self.turn % 4 == 0:  # a plain halving, so that the bracket always shrinks
            return 0.5
        low, high = math.sqrt(self.kl_low), math.sqrt(self.kl_high)
        return min(0.95, max(0.05, (math.sqrt(target) - low) / (high - low)))


def dose_for_kl(
    loaded: Loaded,
    encoded: Sequence[Encoded],
    arm_at: Sequence[Callable[[float], Arm]],
    target_kl: float,
    *,
    bound: float = 256.0,
) -> Doses:
    """For each arm the strength at which KL(unsteered || arm) on neutral text is `target_kl`.

    `arm_at[i](strength)` is arm i; strengths are searched in (0, bound] by safeguarded bisection,
    all arms in one sweep a round. Raises InputError naming the arm that `bound` leaves below the
    target, or whose KL jumps over it.
    """
    if not (math.isfinite(target_kl) and target_kl > 0):
        raise InputError(
            "target_kl", expected="a number above 0", got=str(target_kl), cure="raise it"
        )
    searches = [_Search() for _ in arm_at]
    for _ in range(ROUNDS):
        open_ = [i for i, s in enumerate(searches) if s.found is None]
        if not open_:
            break
        arms = [arm_at[i](searches[i].at) for i in open_]
        price = neutral_price(loaded, encoded, arms)
        for i, arm, kl in zip(open_, arms, price.kl.tolist(), strict=True):
            if kl < target_kl * (1 - TOLERANCE) and searches[i].at >= bound:
                raise _out_of_reach(arm, target_kl, f"{kl:.3g} at strength {bound:g}")
            searches[i].learn(kl, target_kl, bound)
    missed = [i for i, s in enumerate(searches) if s.found is None]
    if missed:
        jump = f"a jump over it near strength {searches[missed[0]].at:g}"
        raise _out_of_reach(arm_at[missed[0]](1.0), target_kl, jump)
    return Doses(
        tuple(s.at for s in searches), tuple(s.found for s in searches if s.found is not None)
    )


def _out_of_reach(arm: Arm, target: float, got: str) -> InputError:
    return InputError(
        f"dose of arm {arm.name}",
        expected=f"a strength with a KL of {target:g} nats per token",
        got=got,
        cure="lower dose_kl, or leave out the arm: its vector hardly acts",
    )
