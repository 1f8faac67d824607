"""Does a model's own vector make it refuse what is unsafe, beyond what null directions do?"""

from mahals.phase import Cost, Phase

PHASE = Phase(
    __name__,
    needs=("datasets", "organisms", "steering_vectors"),
    per="model",
    cost=Cost(seconds=40.0, megabytes=2.0),
)
