"""Known rows: how is each row of a training steered in its own way, in whatever batch it comes?"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any

import numpy as np
from torch import Tensor, nn

from mahals.models.activations.capture import state_of
from mahals.models.checkpoints.blocks import decoder_blocks
from mahals.models.checkpoints.checkpoint import Loaded
from mahals.models.steering.hooks import Steering
from mahals.models.steering.interventions import Arm


@contextmanager
def steered_rows(
    loaded: Loaded, rows: Sequence[Sequence[int]], arms: Sequence[Arm]
) -> Iterator[None]:
    """Inside, the model and every copy made of it read the tokens rows[i] under arms[i].

    A training copies the model and chooses its batches, so a row is known by its tokens, without
    padding's zeros; another is a KeyError. Afterwards the model is as it was, its copies are not.
    """
    steering = Steering(arms, (), next(loaded.model.parameters()).detach())
    numbers = {tuple(np.trim_zeros(ids, "b")): i for i, ids in enumerate(rows)}

    def select(_: nn.Module, given: tuple[Tensor, ...]) -> None:
        steering.select([numbers[tuple(np.trim_zeros(ids, "b"))] for ids in given[0].tolist()])

    def steer(block: int, _: nn.Module, __: Any, output: Any) -> Any:
        states = steering.apply(block, state_of(output))
        return states if isinstance(output, Tensor) else (states, *output[1:])

    embedding, blocks = loaded.model.get_input_embeddings(), decoder_blocks(loaded.model)
    hooks = [embedding.register_forward_pre_hook(select)]
    hooks += [blocks[b].register_forward_hook(partial(steer, b)) for b in steering.blocks]
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()
