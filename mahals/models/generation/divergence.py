"""Divergence: how far do latents that are held move the next token, text by text?"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from mahals.models.activations.batching import Batch, for_each, model_inputs
from mahals.models.activations.encoding import Encoded
from mahals.models.checkpoints.checkpoint import Loaded
from mahals.models.generation.price import price_budget
from mahals.models.saes.steering import Hold
from mahals.models.steering.holding import held


def hold_divergence(
    loaded: Loaded, encoded: Sequence[Encoded], holds: Sequence[Hold]
) -> list[float]:
    """KL(intact || held) of next tokens at the texts' own tokens, in nats a token, of each hold.

    Raises InputError for no texts, one beyond the context, or a hold that does not fit.
    """
    kl = torch.zeros(len(holds), len(encoded), dtype=torch.float64)

    def read(batch: Batch) -> None:
        def logs(*some: Hold) -> Tensor:
            with torch.inference_mode(), held(loaded.model, [some] * len(batch.rows)):
                out = loaded.model(**model_inputs(loaded, batch), use_cache=False)
                return torch.as_tensor(out.logits).float().log_softmax(-1)

        intact = logs()
        for i, hold in enumerate(holds):
            far = (intact.exp() * (intact - logs(hold))).sum(dim=-1) * batch.own
            kl[i, list(batch.rows)] = far.cpu().double().sum(dim=1)

    for_each(loaded, encoded, read, budget=price_budget(loaded))
    return [float(x) for x in kl.sum(dim=1) / sum(e.stop - e.start for e in encoded)]
