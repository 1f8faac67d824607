"""Which sparse directions do a model's states consist of, and along which can it be led astray?"""

from mahals.phase import Cost, Phase

NEEDS = ("organisms", "esr_unsteered")
PHASE = Phase(__name__, needs=NEEDS, per="model", cost=Cost(seconds=30.0, megabytes=2.0))
