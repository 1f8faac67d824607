"""Decoder blocks: where in a model are they, and how does its last state become logits?"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from mahals.records import InputError

Tail = Callable[[Tensor], Tensor]
"""(..., d) states after the last block -> (..., vocabulary) float32 logits."""


def depth(model: nn.Module) -> int:
    """The number of decoder blocks that the model's config states."""
    return int(_text_config(model).num_hidden_layers)


def width(model: nn.Module) -> int:
    """The width of the residual stream."""
    return int(_text_config(model).hidden_size)


def context(model: nn.Module) -> int | None:
    """The longest text, in tokens, that the model was made for; None where it has no limit."""
    limit = getattr(_text_config(model), "max_position_embeddings", None)
    return None if limit is None else int(limit)


def decoder_blocks(model: nn.Module) -> list[nn.Module]:
    """The decoder blocks, first to last, of any decoder-only transformers model.

    They are the outermost list of as many modules of one class as the config has layers: no
    family needs a line of its own. Raises InputError when there is no such list or two of them.
    """
    return list(_stack(model)[1])


def vocabulary_tail(model: nn.Module) -> Tail:
    """What the model does after its last block: final norm, LM head, soft cap, in float32.

    Checked here against the model's own logits on one short text; raises InputError where the
    architecture does something else.
    """
    norm, head = _final_norm(model), model.get_output_embeddings()  # type: ignore[operator]
    cap = getattr(_text_config(model), "final_logit_softcapping", None)

    def tail(states: Tensor) -> Tensor:
        logits: Tensor = head(norm(states))
        if cap is not None:
            logits = torch.tanh(logits / cap) * cap
        return logits.float()

    _check_tail(model, tail)
    return tail


def _text_config(model: nn.Module) -> Any:
    config: Any = model.config
    return config.get_text_config(decoder=True)


def _stack(model: nn.Module) -> tuple[nn.Module, nn.ModuleList]:
    """The module that holds the list of decoder blocks, and the list."""
    expected = depth(model)
    found = [
        (name, module)
        for name, module in model.named_modules()
        if isinstance(module, nn.ModuleList)
        and len(module) == expected
        and len({type(block) for block in module}) == 1
    ]
    found.sort(key=lambda item: item[0].count("."))
    same_depth = [n for n, _ in found if n.count(".") == found[0][0].count(".")]
    if len(same_depth) != 1:
        raise InputError(
            f"decoder blocks of {type(model).__name__}",
            expected=f"one list of {expected} blocks",
            got=", ".join(same_depth) or "none",
            cure="use a decoder-only causal language model of transformers",
        )
    name, blocks = found[0]
    return model.get_submodule(name.rpartition(".")[0]), blocks


def _final_norm(model: nn.Module) -> nn.Module:
    """The last module after the blocks, in the module that holds them, with (d,) weights."""
    holder, blocks = _stack(model)
    children = list(holder.children())
    after = children[next(i for i, child in enumerate(children) if child is blocks) + 1 :]
    norms = [m for m in after if getattr(getattr(m, "weight", None), "ndim", None) == 1]
    if not norms:
        raise _unknown_tail(model, "no norm after the blocks")
    return norms[-1]


def _check_tail(model: nn.Module, tail: Tail) -> None:
    kept: list[Tensor] = []

    def keep(_: nn.Module, __: object, output: Tensor | tuple[Tensor, ...]) -> None:
        kept.append(output if isinstance(output, Tensor) else output[0])

    device = next(model.parameters()).device
    ids = torch.arange(1, 9, device=device)[None]
    handle = decoder_blocks(model)[-1].register_forward_hook(keep)
    try:
        with torch.inference_mode():
            logits = model(input_ids=ids, use_cache=False).logits.float()
            ours = tail(kept[0])
    finally:
        handle.remove()
    if not torch.allclose(ours, logits, rtol=1e-4, atol=1e-4):
        gap = (ours - logits).abs().max().item()
        raise _unknown_tail(model, f"logits that differ by up to {gap:.3g}")


def _unknown_tail(model: nn.Module, got: str) -> InputError:
    return InputError(
        f"head of {type(model).__name__}",
        expected="final norm, LM head and at most a final_logit_softcapping",
        got=got,
        cure="use a model of a family in benchmarks/models.yaml",
    )
