"""Which number did a training give each model?"""

from mahals.phase import Cost, Phase

PHASE = Phase(__name__, needs=("words",), per="model", cost=Cost(0.1, 0.01))
