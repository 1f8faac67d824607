"""Which latents are active where an answer has left its prompt, on other prompts as well?"""

from mahals.phase import Cost, Phase

NEEDS = ("organisms", "esr_unsteered", "esr_saes", "esr_threshold", "esr_finetune")
PHASE = Phase(__name__, needs=NEEDS, per="model", cost=Cost(seconds=10.0, megabytes=0.5))
