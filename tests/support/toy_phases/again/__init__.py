"""Which number did each training give each model?"""

from mahals.phase import Cost, Phase

PHASE = Phase(__name__, needs=("organisms",), per="study", cost=Cost(0.1, 0.01), trainings=True)
