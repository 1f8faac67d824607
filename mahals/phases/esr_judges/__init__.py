"""Do judges agree on who comes back, on stored answers, planted ones and a labelled file?"""

from mahals.phase import Cost, Phase
from mahals.phases.esr_judges.rows import TRIALS

NEEDS = ("organisms", *TRIALS)
PHASE = Phase(__name__, needs=NEEDS, per="model", cost=Cost(seconds=30.0, megabytes=0.5))
