"""Batch invariance: is a text's state the same in a batch as alone?"""

from __future__ import annotations

from collections.abc import Sequence

import torch

from mahals.models.activations.batching import batches
from mahals.models.activations.capture import capture
from mahals.models.activations.encoding import Encoded
from mahals.models.checkpoints.checkpoint import Loaded
from mahals.models.steering.hooks import steered
from mahals.models.steering.interventions import Arm
from mahals.models.steering.replay import capture_arms
from mahals.schema import Pool

CLOSE = 1e-4  # of the state's length; float32
UNITS = 8  # of rounding, where the weights are coarser than float32


def check_batched(loaded: Loaded, encoded: Sequence[Encoded], arm: Arm, pool: Pool) -> None:
    """Passes when one text's last state under an arm is the same in its batch and alone.

    The batch is the first of two texts or more, the text the shortest in it: the one with the most
    padding. In the batch it is read as arms are measured (a replay), alone by hooks in a forward of
    its own. Raises RuntimeError where they differ by more than 1e-4 of the state's length.
    """
    groups = [b.rows for b in batches(loaded, encoded)]
    rows = max(groups, key=lambda rows: len(rows) > 1)
    at = min(range(len(rows)), key=lambda i: (len(encoded[rows[i]].ids), i))
    last, text = [loaded.layers - 1], [encoded[rows[at]]]
    together = capture_arms(loaded, [encoded[r] for r in rows], [arm], last, pool)[0, at, 0]
    with steered(loaded.model, [arm], [0]):
        alone = capture(loaded, text, last, pool)[0, 0]
    dtype = next(loaded.model.parameters()).dtype
    close = max(CLOSE, UNITS * torch.finfo(dtype).eps)
    apart = float((together - alone).double().norm() / alone.double().norm())
    if not apart <= close:
        raise RuntimeError(
            f"{loaded.key}, {arm.name}: a text's state differs by {apart:.2g} of its length "
            f"between its batch of {len(rows)} and alone"
        )
