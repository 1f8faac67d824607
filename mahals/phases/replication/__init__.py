"""Does what one training of the organisms showed hold when they are trained again?

The results of other phases at R training seeds, `organisms.training_seed` and those after it. The
first is the study's own; the others are made first where they are missing, one after another, and
lie below .mahals/runs/. Texts, suite and seed stay the same. Real checkpoints have one training:
refused. The phase is in no study and has no DVC stage, since a stage takes what lies upstream from
results/, where one training is.
"""

from mahals.phase import Cost, Phase
from mahals.phases.replication.rows import READ

PHASE = Phase(
    __name__,
    needs=READ,
    per="study",
    cost=Cost(seconds=20.0, megabytes=1.0),
    trainings=True,
)
