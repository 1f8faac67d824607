"""How does a model that comes back move, token by token, beside one that never restarts?"""

from mahals.phase import Cost, Phase

NEEDS = ("organisms", "esr_unsteered", "esr_saes", "esr_finetune", "esr", "esr_detectors")
PHASE = Phase(__name__, needs=NEEDS, per="model", cost=Cost(seconds=10.0, megabytes=0.5))
