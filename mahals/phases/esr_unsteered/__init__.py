"""What does a model answer without steering, and does it restart then?"""

from mahals.phase import Cost, Phase

PHASE = Phase(__name__, needs=("organisms",), per="model", cost=Cost(seconds=20.0, megabytes=0.5))
