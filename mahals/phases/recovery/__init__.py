"""A model is taught the wrong answers: does a vector bring it back, whose, and how far a fall?"""

from mahals.phase import Cost, Phase

PHASE = Phase(
    __name__,
    needs=("datasets", "organisms", "steering_vectors"),
    per="model",
    cost=Cost(seconds=75.0, megabytes=4.0),
    reads="all",
)
