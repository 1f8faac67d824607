"""Token states: what does a model hold at each token of an answer, with steering on or off?"""

from collections.abc import Sequence
from contextlib import ExitStack
from typing import Any

import torch
from torch import Tensor, nn

from mahals.models.activations import capture
from mahals.models.activations.batching import Batch, for_each
from mahals.models.activations.encoding import Encoded
from mahals.models.checkpoints.blocks import decoder_blocks
from mahals.models.checkpoints.checkpoint import Loaded
from mahals.models.steering.hooks import steered
from mahals.models.steering.interventions import Arm, fits
from mahals.models.steering.scope import places


def token_states(
    loaded: Loaded, encoded: Sequence[Encoded], arms: Sequence[Arm], block: int
) -> list[Tensor]:
    """(t_i, d) float32 on the CPU: the states of each text's own tokens after `block`, steered.

    Text i is read under arms[i]. Raises InputError for an unknown block, no texts, a text beyond
    the context, an arm that does not fit, or a state that is not finite.
    """
    capture.check_request(loaded, [block], "mean")
    fits(loaded, arms)
    pairs = zip(encoded, arms, strict=True)
    found = [torch.empty(text.stop - text.start, loaded.width) for text, _ in pairs]
    blocks = decoder_blocks(loaded.model)

    def read(batch: Batch) -> None:
        def keep(_: nn.Module, __: Any, output: Tensor | tuple[Any, ...]) -> None:
            states = capture.state_of(output)
            for row, text in enumerate(batch.rows):
                found[text][:] = states[row, batch.own[row].to(states.device)]

        def stop(*_: Any) -> None:
            raise capture.StopForward

        own = [arms[text] for text in batch.rows]
        with steered(loaded.model, own, range(len(own))) as steering, ExitStack() as stack:
            steering.places = places(batch)
            last = max((block, *steering.blocks))
            stack.callback(blocks[block].register_forward_hook(keep).remove)
            stack.callback(blocks[last].register_forward_hook(stop).remove)
            capture.run_until_stopped(loaded, batch)

    for_each(loaded, encoded, read)
    for states in found:
        capture.check_finite(states, loaded)
    return found
