"""Checks: did steering act where it has to, and leave alone what it may not touch?"""

from __future__ import annotations

from collections.abc import Sequence

from mahals.evaluation.dose import Dosed


def check_acted(dosed: Sequence[Dosed], unmoved: Sequence[bool]) -> None:
    """Passes when strength 0 is the unsteered model, and no other strength is.

    `unmoved`: of each arm whether all that was measured of it is that of the unsteered model.
    Raises RuntimeError naming the arm.
    """
    for one, same in zip(dosed, unmoved, strict=True):
        if (one.strength == 0) != same:
            raise RuntimeError(
                f"{one.arm.name} at strength {one.strength}: hooks did not act as told"
            )
