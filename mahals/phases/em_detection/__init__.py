"""Does a direction in the states tell a misaligned model from what it was, on unseen prompts?"""

from mahals.phase import Cost, Phase

PHASE = Phase(
    __name__,
    needs=("datasets", "organisms", "em_finetune"),
    per="model",
    cost=Cost(seconds=10.0, megabytes=2.0),
)
