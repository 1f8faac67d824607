"""What follows from the phases, params.yaml and pyproject.toml: MLproject, conda.yaml, dvc.yaml?

They are generated, so that a phase's name stands in one place. `stale` and `gaps` are what the
tests and `mahals manifests --check` ask.
"""

from mahals.manifests.done import committing, ends, inside_stage, valid_stages
from mahals.manifests.files import conda, generated, mlproject, stale, write
from mahals.manifests.pieces import gaps
from mahals.manifests.sources import Sources, read_sources
from mahals.manifests.stages import BOARD, PUBLISH, pipeline, stage_of

__all__ = [
    "BOARD",
    "PUBLISH",
    "Sources",
    "committing",
    "conda",
    "ends",
    "gaps",
    "generated",
    "inside_stage",
    "mlproject",
    "pipeline",
    "read_sources",
    "stage_of",
    "stale",
    "valid_stages",
    "write",
]
