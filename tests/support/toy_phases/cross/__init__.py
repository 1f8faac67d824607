"""Do all models' numbers reach every unit?"""

from mahals.phase import Cost, Phase

PHASE = Phase(__name__, needs=("grow",), per="model", cost=Cost(0.1, 0.01), reads="all")
