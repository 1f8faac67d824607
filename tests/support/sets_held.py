"""Sets held: what did esr_detectors keep of a random dictionary, and who comes back by it alone?"""

from __future__ import annotations

import json
from typing import Any

from mahals.evaluation.resistance.held_sets import DetectorSet
from mahals.models.saes.files import write_sae
from mahals.records import to_plain
from tests.support.held_latents import LATENTS, SILENT, wide
from tests.support.resistance_lab import (
    BOOST,
    SETTING,
    TOPICS,
    Request,
    ResistanceLab,
    derailed,
    steps_of,
)

DETECTORS = (4, 8, 20, 33)
HALF, WHOLE = 2.5, 3.5  # with the detectors held, boosts that derail every other answer, and all


def plant_detectors(
    lab: ResistanceLab,
    detectors: tuple[int, ...] = DETECTORS,
    name: str = "aligned",
    dictionary: str = "shared",
) -> None:
    """The detectors of a subject, and the shared dictionary; latents are active by their number."""
    told: dict[str, Any] = {
        "block": SETTING.read_block,
        "dictionary": dictionary,
        "labels": tuple(f"word {i}" for i in detectors),
        "detectors": detectors,
        "dead": SILENT,
        "frequency": tuple(0.0 if i in SILENT else (i + 1) / 50 for i in range(LATENTS)),
    }
    text = json.dumps(to_plain(DetectorSet(**told)))
    lab.plant("esr_detectors", f"detectors-{name}.json", text)
    write_sae(lab.root / "esr_saes" / "A" / f"sae-{SETTING.read_block}", wide())


def watchful(asked: Request) -> str:
    """Derailed or after a passage it comes back, unless its detectors are held."""
    topic, blind = TOPICS[asked.prompt], any(h.latents == DETECTORS for h in asked.holds)
    back = f"Wait, that is off topic. To {topic}: {steps_of(topic, asked.seed)}"
    if asked.prefix:
        return " The end." if blind else f" {back}"
    if asked.boost < (BOOST if not blind else HALF if asked.seed % 2 else WHOLE):
        return steps_of(topic, asked.seed)
    text = derailed(asked)
    return text if blind else f"{text} {back}"
