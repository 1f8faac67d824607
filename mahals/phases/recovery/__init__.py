"""A model is taught the wrong answers: does a vector bring it back, whose, and how far a fall?"""

from mahals.phases.recovery.measure import PHASE as PHASE
