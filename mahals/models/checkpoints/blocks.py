"""Decoder blocks: where in a model are they?"""

from __future__ import annotations

from typing import Any

from torch import nn

from mahals.records import InputError


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
    return list(stack(model)[1])


def _text_config(model: nn.Module) -> Any:
    config: Any = model.config
    return config.get_text_config(decoder=True)


def stack(model: nn.Module) -> tuple[str, nn.ModuleList]:
    """The name of the list of decoder blocks inside the model, and the list."""
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
    return found[0]
