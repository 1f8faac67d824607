"""At which block does a model's own vector move refusals, beyond what null directions do there?"""

from mahals.phase import Cost, Phase

PHASE = Phase(
    __name__,
    needs=("datasets", "organisms", "steering_vectors"),
    per="model",
    cost=Cost(seconds=30.0, megabytes=1.0),
    fixed=(("suite.doses_beyond", ()), ("suite.nulls", 2)),
)
