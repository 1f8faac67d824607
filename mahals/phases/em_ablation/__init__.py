"""Does taking the direction out restore a misaligned model, and does adding it misalign one?"""

from mahals.phase import Cost, Phase

PHASE = Phase(
    __name__,
    needs=("datasets", "organisms", "em_finetune", "em_detection"),
    per="model",
    cost=Cost(seconds=60.0, megabytes=2.0),
)
