"""Did each small model learn the world, and did preference training teach it to refuse?"""

from mahals.phases.organisms.measure import PHASE as PHASE
