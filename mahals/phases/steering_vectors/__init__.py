"""Which direction leads from base to aligned in each model, and how reliable is it?"""

from mahals.phases.steering_vectors.measure import PHASE as PHASE
