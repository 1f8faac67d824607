"""Small world: the synthetic world of seed 0 and the splits that are measured on."""

from __future__ import annotations

from mahals.data.world.grammar import SPLITS, World

WORLD = World(0)
MEASURED = [name for name, _ in SPLITS if name != "train"]
