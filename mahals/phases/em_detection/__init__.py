"""Does a direction in the states tell a misaligned model from what it was, on unseen prompts?"""

from mahals.phases.em_detection.measure import PHASE as PHASE
