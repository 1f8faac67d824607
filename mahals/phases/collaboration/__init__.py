"""Do agents drift from what they are alone when they talk, and does talk help?"""

from mahals.phase import Cost, Phase

PHASE = Phase(
    __name__,
    needs=("datasets", "organisms", "steering_vectors"),
    per="study",
    cost=Cost(seconds=60.0, megabytes=1.0),
)
