"""Checks: did steering act where it has to, and leave alone what it may not touch?"""

from __future__ import annotations

from collections.abc import Sequence

from mahals.evaluation.bench import ArmScores
from mahals.evaluation.dose import Dosed


def check_acted(dosed: Sequence[Dosed], found: Sequence[ArmScores], base: ArmScores) -> None:
    """Strength 0 is the unsteered model, and no other strength is. Raises RuntimeError."""
    for one, m in zip(dosed, found, strict=True):
        same = m.aqi.aqi == base.aqi.aqi and m.behaviour == base.behaviour and m.kl == base.kl
        if (one.strength == 0) != (same and m.kl == 0.0):
            raise RuntimeError(
                f"{one.arm.name} at strength {one.strength}: hooks did not act as told"
            )
