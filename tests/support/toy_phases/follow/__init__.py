"""What does a phase find in its own model's results alone?"""

from mahals.phase import Cost, Phase

PHASE = Phase(__name__, needs=("grow",), per="model", cost=Cost(0.1, 0.01))
