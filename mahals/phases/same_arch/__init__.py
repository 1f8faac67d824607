"""Does a model's own vector move its AQI beyond what a random one does?"""

from mahals.phases.same_arch.measure import PHASE as PHASE
