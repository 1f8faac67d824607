"""Which words are there?"""

from mahals.phase import Cost, Phase

PHASE = Phase(__name__, needs=(), per="study", cost=Cost(0.1, 0.01), home="data", reads="none")
