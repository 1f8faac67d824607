"""Collaboration: do agents drift from what they are alone when they talk, and does talk help?"""

from mahals.phases.collaboration.measure import PHASE as PHASE
