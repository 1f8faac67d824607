"""Does a model still come back where its detectors of digressions are held silent?"""

from mahals.phase import Cost, Phase

NEEDS = ("organisms", "esr_unsteered", "esr_saes", "esr_threshold", "esr_finetune", "esr_detectors")
PHASE = Phase(__name__, needs=NEEDS, per="model", cost=Cost(seconds=60.0, megabytes=1.0))
