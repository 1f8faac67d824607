"""Does narrow bad advice make a model give bad advice elsewhere, and does good advice not?"""

from mahals.phase import Cost, Phase

PHASE = Phase(
    __name__, needs=("datasets", "organisms"), per="model", cost=Cost(seconds=30.0, megabytes=3.0)
)
