"""Does narrow bad advice make a model give bad advice elsewhere, and does good advice not?"""

from mahals.phases.em_finetune.measure import PHASE as PHASE
