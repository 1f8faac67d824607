"""Which steering would agents choose that talk with each other, and is that sure?"""

from mahals.phase import Cost, Phase

PHASE = Phase(
    __name__,
    needs=("datasets", "organisms", "steering_vectors"),
    per="study",
    cost=Cost(seconds=60.0, megabytes=1.0),
)
