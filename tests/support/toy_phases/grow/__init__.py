"""How does a number grow in a model's name, slowly, with files kept and scratch used?"""

from mahals.phase import Cost, Phase

PHASE = Phase(__name__, needs=("words",), per="model", cost=Cost(0.5, 0.1))
