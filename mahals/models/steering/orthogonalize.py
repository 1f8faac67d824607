"""Orthogonal weights: which ones cannot write along a direction?"""

from __future__ import annotations

import copy
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn

from mahals.models.activations.capture import state_of
from mahals.models.checkpoints.blocks import decoder_blocks
from mahals.models.checkpoints.checkpoint import Loaded
from mahals.records import InputError

WRITERS = ("o_proj", "down_proj", "dense", "dense_4h_to_h")
"""Linear maps whose output is added to the residual stream, by their names in transformers."""


def orthogonalized(loaded: Loaded, direction: Tensor) -> Loaded:
    """A copy whose embedding and whose blocks' writers have no part along `direction` (d,).

    W <- W - u u' W (Arditi et al. 2024): nothing in the residual stream then has a part along u,
    as if it were ablated with strength 1 wherever anything is written (`unwritten`). An output
    layer that shared the embedding's weights keeps them as they were. Raises InputError for an
    architecture that normalizes what its blocks write: that cannot be put into weights.
    """
    unit = direction.double() / direction.double().norm()
    model = copy.deepcopy(loaded.model)
    writers = list(_writers(loaded.key, model))
    _untie(model)
    with torch.no_grad():
        table = model.get_input_embeddings().weight
        table.copy_(_without(table.double(), unit))
        for writer in writers:
            writer.weight.copy_(_without(writer.weight.double().T, unit).T)
            if writer.bias is not None:
                writer.bias.copy_(_without(writer.bias.double(), unit))
    return replace(loaded, model=model, revision=f"{loaded.revision}+orthogonal")


def _without(rows: Tensor, unit: Tensor) -> Tensor:
    """Rows (..., d) less their part along the unit vector."""
    unit = unit.to(rows)
    return rows - (rows @ unit)[..., None] * unit


def _untie(model: Any) -> None:
    """Gives the output layer weights of its own where it shares the embedding's."""
    head = model.get_output_embeddings()
    if head.weight is model.get_input_embeddings().weight:
        head.weight = nn.Parameter(head.weight.detach().clone(), requires_grad=False)
        model.config.tie_word_embeddings = False


def _writers(key: str, model: nn.Module) -> Iterator[nn.Linear]:
    for block in decoder_blocks(model):
        names = [n for n, m in block.named_modules() if n.split(".")[-1] in WRITERS]
        after = [n for n, _ in block.named_modules() if "post_feedforward" in n]
        found = [block.get_submodule(n) for n in names]
        linear = [m for m in found if isinstance(m, nn.Linear)]
        if after or len(linear) != 2:
            raise InputError(
                f"weights of {key} without a direction",
                expected="two linear maps in a block that write to the residual stream unchanged",
                got="a norm after them" if after else f"{len(linear)} of them",
                cure="ablate the states instead",
            )
        yield from linear


@contextmanager
def unwritten(loaded: Loaded, direction: Tensor) -> Iterator[None]:
    """Inside, everything written to the residual stream loses its part along `direction`.

    The same function as `orthogonalized`, by hooks on embedding and writers: the check of it.
    """
    unit = direction.double() / direction.double().norm()

    def hook(_: nn.Module, __: Any, output: Any) -> Any:
        states = state_of(output)
        return _without(states.double(), unit).to(states)

    embedding: Any = loaded.model.get_input_embeddings()
    with ExitStack() as stack:
        for module in (embedding, *_writers(loaded.key, loaded.model)):
            stack.callback(module.register_forward_hook(hook).remove)
        yield
