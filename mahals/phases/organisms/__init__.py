"""Did each small model learn the world, and did preference training teach it to refuse?"""

from mahals.phase import Cost, Phase

PHASE = Phase(__name__, needs=(), per="model", cost=Cost(seconds=90.0, megabytes=16.0))
