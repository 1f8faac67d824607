"""What do scored answers, states and weights say about a model that went wrong?"""

from mahals.misalignment.detection import (
    METHODS,
    Method,
    auroc,
    separation,
    two_halves,
    unit_direction,
)
from mahals.misalignment.outcomes import (
    OUTCOMES,
    Codes,
    Outcome,
    Rates,
    Restoration,
    codes_of,
    outcome_of,
    rates,
    restoration,
    rise,
)
from mahals.misalignment.transition import Turning, turning

__all__ = [
    "METHODS",
    "OUTCOMES",
    "Codes",
    "Method",
    "Outcome",
    "Rates",
    "Restoration",
    "Turning",
    "auroc",
    "codes_of",
    "outcome_of",
    "rates",
    "restoration",
    "rise",
    "separation",
    "turning",
    "two_halves",
    "unit_direction",
]
