"""At which strength of steering does a model come back most, and what breaks beyond it?"""

from mahals.phase import Cost, Phase

NEEDS = ("organisms", "esr_unsteered", "esr_saes", "esr_threshold", "esr_finetune")
PHASE = Phase(__name__, needs=NEEDS, per="model", cost=Cost(seconds=20.0, megabytes=1.0))
