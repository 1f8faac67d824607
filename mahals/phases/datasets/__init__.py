"""Which texts is the study measured on, and are safe and unsafe ones alike in length?"""

from mahals.phase import Cost, Phase
from mahals.phases.datasets.rows import FILES

PHASE = Phase(
    __name__,
    needs=(),
    per="study",
    reads="none",
    cost=Cost(seconds=2.0, megabytes=2.0),
    home="data",
    keeps=tuple(f"{file}.{suffix}" for file in FILES for suffix in ("jsonl", "md")),
)
