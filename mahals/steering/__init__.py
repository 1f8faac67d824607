"""How is a model steered, and what are its states while it is?"""

from mahals.steering.alone import check_batched
from mahals.steering.arms import Arm, Step
from mahals.steering.hooks import steered
from mahals.steering.operators import OPERATORS, Operator
from mahals.steering.replay import capture_arms, replays

__all__ = [
    "OPERATORS",
    "Arm",
    "Operator",
    "Step",
    "capture_arms",
    "check_batched",
    "replays",
    "steered",
]
