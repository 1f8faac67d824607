"""Does a model that was taught to leave a digression leave others, and come back to the topic?"""

from mahals.phase import Cost, Phase

NEEDS = ("organisms", "esr_unsteered", "esr_saes", "esr_threshold")
PHASE = Phase(__name__, needs=NEEDS, per="model", cost=Cost(seconds=20.0, megabytes=1.0))
