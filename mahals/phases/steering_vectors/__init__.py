"""Which direction leads from base to aligned in each model, and how reliable is it?"""

from mahals.phase import Cost, Phase

PHASE = Phase(
    __name__,
    needs=("datasets", "organisms"),
    per="model",
    cost=Cost(seconds=10.0, megabytes=0.1),
    fixed=(("suite.doses", (1.0,)), ("suite.doses_beyond", ()), ("suite.nulls", 2)),
)
