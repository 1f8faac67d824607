"""How far must a model be steered along each direction until its answers are half off topic?"""

from mahals.phase import Cost, Phase

NEEDS = ("organisms", "esr_unsteered", "esr_saes")
PHASE = Phase(__name__, needs=NEEDS, per="model", cost=Cost(seconds=60.0, megabytes=0.5))
