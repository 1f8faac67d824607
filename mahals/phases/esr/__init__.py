"""Steered off topic, does a model notice, say so and come back, and by what does it notice?"""

from mahals.phase import Cost, Phase

NEEDS = ("organisms", "esr_unsteered", "esr_saes", "esr_threshold", "esr_finetune")
PHASE = Phase(__name__, needs=NEEDS, per="model", cost=Cost(seconds=30.0, megabytes=1.0))
