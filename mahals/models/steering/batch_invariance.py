"""Batch invariance: is a text's state the same in a batch as alone, and at strength 0 unsteered?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor

from mahals.models.activations.batching import batches, pad
from mahals.models.activations.capture import capture
from mahals.models.activations.encoding import Encoded
from mahals.models.checkpoints.checkpoint import Loaded
from mahals.models.steering.hooks import steered
from mahals.models.steering.interventions import Arm
from mahals.models.steering.replay import capture_arms
from mahals.models.steering.scope import places
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
    last = [loaded.layers - 1]
    together = capture_arms(loaded, [encoded[r] for r in rows], [arm], last, pool)[0, at, 0]
    alone = last_state(loaded, encoded[rows[at]], arm, pool)
    check_same(loaded, together, alone, f"{arm.name}: a text's state", len(rows))


def check_same(loaded: Loaded, together: Tensor, alone: Tensor, what: str, batch: int) -> None:
    """Passes when two states (d,) differ by no more than 1e-4 of their length, or by rounding.

    Raises RuntimeError where they differ by more; `what` of the model's differs, in a batch of so
    many.
    """
    dtype = next(loaded.model.parameters()).dtype
    close = max(CLOSE, UNITS * torch.finfo(dtype).eps)
    apart = float((together - alone).double().norm() / alone.double().norm())
    if not apart <= close:
        raise RuntimeError(
            f"{loaded.key}, {what} differs by {apart:.2g} of its length between its batch of "
            f"{batch} and alone"
        )


def check_strength(loaded: Loaded, text: Encoded, arm: Arm, pool: Pool) -> Tensor:
    """(d,): the last state of one text under an arm, read by hooks in a forward of its own.

    Raises RuntimeError where the arm at strength 0 does not leave the state bit for bit, or an arm
    that steers does not move it.
    """
    zero = Arm(f"{arm.name} at 0", tuple(replace(s, strength=0.0) for s in arm.steps))
    plain = capture(loaded, [text], [loaded.layers - 1], pool)[0, 0]
    if not torch.equal(last_state(loaded, text, zero, pool), plain):
        raise RuntimeError(f"{loaded.key}, {arm.name}: strength 0 changed a state")
    state = last_state(loaded, text, arm, pool)
    if arm.active and torch.equal(state, plain):
        raise RuntimeError(f"{loaded.key}, {arm.name}: the hooks did not act")
    return state


def last_state(loaded: Loaded, text: Encoded, arm: Arm, pool: Pool) -> Tensor:
    """(d,): the last block's state of one text under an arm."""
    with steered(loaded.model, [arm], [0]) as steering:
        steering.places = places(pad(loaded, [text], [0], "right"))
        return capture(loaded, [text], [loaded.layers - 1], pool)[0, 0]
