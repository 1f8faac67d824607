"""Ways to states: how are those of all blocks had with this package and with transformers alone?

A way is made ready with a model and texts, and then run.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from mahals.models.activations.batching import batches, model_inputs
from mahals.models.activations.capture import capture
from mahals.models.activations.encoding import encode_texts
from mahals.models.checkpoints.checkpoint import Loaded

AT_A_TIME = 16  # texts in file order
LIMIT = "blocks alone"

Run = Callable[[], object]
Ready = Callable[[Loaded, Sequence[str]], Run]


def ours(loaded: Loaded, texts: Sequence[str]) -> Run:
    """From texts to (n, L, d) pooled states: tokens, sorted batches, hooks."""
    return lambda: capture(
        loaded, encode_texts(loaded.tokenizer, texts), range(loaded.layers), "mean_all"
    )


def blocks_alone(loaded: Loaded, texts: Sequence[str]) -> Run:
    """The limit: ready batches, sorted, through the blocks; nothing read, no LM head."""
    made = batches(loaded, encode_texts(loaded.tokenizer, texts))
    inputs = [model_inputs(loaded, batch) for batch in made]

    def run() -> None:
        with torch.inference_mode():
            for batch in inputs:
                loaded.model.base_model(**batch, use_cache=False)

    return run


def hidden_states(head: bool) -> Ready:
    """transformers' output_hidden_states in file order, pooled after each batch."""

    def ready(loaded: Loaded, texts: Sequence[str]) -> Run:
        model = loaded.model if head else loaded.model.base_model
        parts = [list(texts[i : i + AT_A_TIME]) for i in range(0, len(texts), AT_A_TIME)]
        return lambda: torch.cat([_pooled(loaded, model, some) for some in parts])

    return ready


def _pooled(loaded: Loaded, model: torch.nn.Module, texts: list[str]) -> Tensor:
    inputs = loaded.tokenizer(texts, return_tensors="pt", padding=True)
    inputs.pop("token_type_ids", None)
    with torch.inference_mode():
        out = model(**inputs, output_hidden_states=True)
        mask = inputs["attention_mask"][..., None].float()
        pooled = [(h * mask).sum(1) / mask.sum(1) for h in out.hidden_states[1:]]
    return torch.stack(pooled, 1)


WAYS: dict[str, Ready] = {
    LIMIT: blocks_alone,
    "ours": ours,
    f"output_hidden_states, {AT_A_TIME} texts at a time": hidden_states(True),
    f"output_hidden_states without the LM head, {AT_A_TIME} texts at a time": hidden_states(False),
}
