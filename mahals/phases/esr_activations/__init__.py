"""Which latents are active before, in and after a restart, and in answers that never restart?"""

from mahals.phase import Cost, Phase

NEEDS = ("organisms", "esr_unsteered", "esr_saes", "esr_finetune", "esr", "esr_detectors")
PHASE = Phase(__name__, needs=NEEDS, per="model", cost=Cost(seconds=20.0, megabytes=0.5))
