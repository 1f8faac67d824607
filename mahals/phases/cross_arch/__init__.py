"""Does another family's vector move this model, and by how much of what its own does?"""

from mahals.phases.cross_arch.measure import PHASE as PHASE
