"""Tail: how does a model's state after its last block become logits?

By the model's own forward, whose blocks hand the states on as they are: so a norm, a projection, a
scale or a soft cap is what the architecture makes of it, and no family needs a line of its own.
"""

from __future__ import annotations

import copy
from collections import OrderedDict
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from mahals.models.checkpoints.blocks import decoder_blocks, stack
from mahals.records import InputError

Tail = Callable[[Tensor], Tensor]
"""(..., d) states after the last block -> (..., vocabulary) float32 logits."""

Output = Tensor | tuple[Any, ...]


def vocabulary_tail(model: nn.Module) -> Tail:
    """What the model does after its last block, in float32; the blocks' own hooks do not act.

    Checked here against the model's own logits on one short text; raises InputError, which names
    the architecture, where the states after the last block do not decide the logits.
    """
    try:
        return _checked(model)
    except (InputError, MemoryError, torch.OutOfMemoryError):
        raise
    except Exception as error:
        raise _unpriced(model, f"{type(error).__name__}: {error}".splitlines()[0]) from error


def _checked(model: nn.Module) -> Tail:
    kept: list[Output] = []
    device = next(model.parameters()).device
    ids = torch.arange(1, 9, device=device)[None]
    handle = decoder_blocks(model)[-1].register_forward_hook(lambda _, __, out: kept.append(out))
    try:
        with torch.no_grad():
            logits = model(**_inputs(ids)).logits
    finally:
        handle.remove()
    tail = _tail(model, kept[0])
    with torch.no_grad():
        ours = tail(kept[0] if isinstance(kept[0], Tensor) else kept[0][0])
    gap = apart(ours, logits)
    if not gap <= tolerance(logits.dtype):
        raise _unpriced(model, f"logits that are off by {gap:.2g} of their size")
    return tail


def apart(ours: Tensor, theirs: Tensor) -> float:
    """The largest relative distance of two vectors (..., d) at one place; lower is closer."""
    known = theirs.double()
    gaps = (ours.double() - known).norm(dim=-1) / known.norm(dim=-1).clamp(min=1e-30)
    return float(gaps.max())


def tolerance(dtype: torch.dtype) -> float:
    """How far `apart` two ways to compute the same may be: half of the digits of the type."""
    return float(torch.finfo(dtype).eps ** 0.5)


def _tail(model: nn.Module, output: Output) -> Tail:
    """The tail of a model whose last block gave `output`, in that form."""
    given: list[Tensor] = []
    rest = None if isinstance(output, Tensor) else (None,) * (len(output) - 1)

    def states_of(*_: Any, **__: Any) -> Output:
        return given[0] if rest is None else (given[0], *rest)

    name, blocks = stack(model)
    shell = _with(model, name.split("."), nn.ModuleList(_stub(b, states_of) for b in blocks))
    head = next(model.parameters()).device

    def tail(states: Tensor) -> Tensor:
        each = states.reshape(-1, 1, states.shape[-1])  # every state a text of one token
        given[:] = [each]
        ids = torch.zeros(each.shape[:2], dtype=torch.long, device=head)
        try:
            logits: Tensor = shell(**_inputs(ids)).logits
        finally:
            given.clear()
        return logits.reshape(*states.shape[:-1], -1).float()

    return tail


def _inputs(ids: Tensor) -> dict[str, Any]:
    return {"input_ids": ids, "attention_mask": torch.ones_like(ids), "use_cache": False}


def _stub(block: nn.Module, forward: Callable[..., Output]) -> nn.Module:
    """`block` for all who ask for its attributes, with another forward and without hooks."""
    twin = _twin(block)
    twin._forward_hooks, twin._forward_pre_hooks = OrderedDict(), OrderedDict()
    twin.forward = forward
    return twin


def _with(model: nn.Module, path: list[str], part: nn.Module) -> nn.Module:
    """The model with another module at `path`; all else is shared with the model, not copied."""
    if not path:
        return part
    twin = _twin(model)
    twin._modules[path[0]] = _with(model.get_submodule(path[0]), path[1:], part)
    return twin


def _twin(module: nn.Module) -> nn.Module:
    """A module with the same parts, whose parts can be exchanged one by one.

    A library that spreads a model over devices sets a forward that calls the module itself: the
    twin has that of its class, and the parts, which move what they are given, keep theirs.
    """
    twin = copy.copy(module)
    twin._modules = dict(module._modules)
    if "_old_forward" in vars(twin):
        del twin.forward
    return twin


def _unpriced(model: nn.Module, got: str) -> InputError:
    return InputError(
        f"head of {type(model).__name__}",
        expected="logits that follow from the states after the last block",
        got=got[:200],
        cure="use a model of a family in benchmarks/models.yaml",
    )
