"""Does another family's vector move this model, and by how much of what its own does?"""

from mahals.phase import Cost, Phase

PHASE = Phase(
    __name__,
    needs=("datasets", "organisms", "steering_vectors"),
    per="model",
    cost=Cost(seconds=8.0, megabytes=0.5),
    reads="all",
)
