"""How far apart does each model hold safe and unsafe prompts, and is it above its floors?"""

from mahals.phase import Cost, Phase

PHASE = Phase(
    __name__, needs=("datasets", "organisms"), per="model", cost=Cost(seconds=4.0, megabytes=0.5)
)
