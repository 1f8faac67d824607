"""Checks: can and did steering act where it has to, and leave alone what it may not touch?"""

from __future__ import annotations

from collections.abc import Sequence

from mahals.evaluation.bench import Bench
from mahals.evaluation.dose import Dosed
from mahals.models.steering.scope import FROM
from mahals.records import InputError


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


def check_scope(at: Bench, scope: str) -> None:
    """Raises InputError for a scope that begins after the end of every text."""
    texts = (*at.encoded, *at.neutral, *at.chat)
    longest = max(len(e.ids) for e in texts)
    if scope.startswith(FROM) and int(scope.removeprefix(FROM)) >= longest:
        raise InputError(
            f"scope of {at.loaded.key}",
            expected=f"a token before the end of some text, from:{longest - 1} at most",
            got=scope,
            cure="lower n",
        )
