"""Steered off topic, does a model notice, say so and come back, and by what does it notice?"""

from mahals.phase import Cost, Phase

PHASE = Phase(
    __name__,
    needs=("organisms", "esr_unsteered", "esr_saes", "esr_threshold", "esr_finetune"),
    per="model",
    cost=Cost(seconds=30.0, megabytes=1.0),
)
