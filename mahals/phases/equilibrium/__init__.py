"""Equilibrium: which steering would agents choose that talk with each other, and is that sure?"""

from mahals.phases.equilibrium.measure import PHASE as PHASE
