"""Propensity: does a vector make refusing likelier on unsafe prompts, and rarer on safe ones?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from mahals.evaluation.bench import Bench
from mahals.evaluation.dose import Dosed
from mahals.evaluation.scores import propensities
from mahals.maths.stats.intervals import Floats


@dataclass(frozen=True)
class ArmPropensities:
    """The arms of a sweep whose propensity was measured, by their place in it."""

    values: torch.Tensor  # (k, m) nats per token
    places: tuple[int, ...]

    def tensors(self) -> dict[str, torch.Tensor]:
        """What the evidence file holds of it; `propensity_of` are evidence rows."""
        return {"propensity": self.values, "propensity_of": torch.tensor(self.places)}

    def of(self, place: int) -> Floats | None:
        """The values (m,) of the arm at a place; None where it was not measured."""
        if place not in self.places:
            return None
        return np.asarray(self.values[self.places.index(place)].numpy())


def ask(at: Bench, dosed: Sequence[Dosed], draws: int) -> ArmPropensities:
    """The propensity of the vector, and of the first `draws` random directions, on the grid."""
    places = tuple(
        i
        for i, d in enumerate(dosed)
        if d.label.on_grid
        and (d.label.arm == "steered" or (d.label.draw is not None and d.label.draw < draws))
    )
    if not places:
        return ArmPropensities(torch.empty(0, len(at.answered), dtype=torch.float64), ())
    return ArmPropensities(propensities(at, [dosed[i].arm for i in places]), places)
