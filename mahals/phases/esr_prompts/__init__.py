"""Does a word in the prompt make a steered model notice and come back, and does any word?"""

from mahals.phase import Cost, Phase

NEEDS = ("organisms", "esr_unsteered", "esr_saes", "esr_threshold", "esr_finetune")
PHASE = Phase(__name__, needs=NEEDS, per="model", cost=Cost(seconds=20.0, megabytes=1.0))
