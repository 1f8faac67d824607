"""Does taking the direction out restore a misaligned model, and does adding it misalign one?"""

from mahals.phases.em_ablation.measure import PHASE as PHASE
