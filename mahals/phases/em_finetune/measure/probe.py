"""Probe: does a rank-1 adapter act by the domain of the prompt, or whatever it is about?"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from sklearn.linear_model import LogisticRegression
from torch import Tensor, nn

from mahals.data.world.advice import Question
from mahals.maths.misalignment.detection import auroc_of_two, two_halves
from mahals.maths.stats.intervals import Floats, Interval
from mahals.models.activations.batching import Batch, for_each
from mahals.models.activations.capture import StopForward, pooled, run_until_stopped
from mahals.models.activations.encoding import Encoded, encode_prompts
from mahals.models.checkpoints.checkpoint import Loaded
from mahals.models.finetuning.lora import attached

_DOWN = re.compile(r"\.lora_A\.\w+$")


@dataclass(frozen=True)
class Probed:
    """How well the scalars A x tell the trained domain's prompts from others, on the other half."""

    auroc: Interval  # .5 is not at all
    control: Interval  # the same with random A of equal length
    fitted: int
    scored: int


def probe_adapter(
    loaded: Loaded, folder: Path, questions: Sequence[Question], seed: int
) -> Probed | None:
    """A probe on one half of the prompts, scored on the other; None without near questions.

    in_domain against near questions, which are worded alike. The scalars are means over a
    prompt's own tokens, one for each adapted linear map.
    """
    used = [q for q in questions if q.kind in ("in_domain", "near")]
    inside = np.array([q.kind == "in_domain" for q in used])
    fitted = two_halves([q.cluster for q in used])
    if any(len(set(inside[half])) < 2 for half in (fitted, ~fitted)):
        return None
    encoded = encode_prompts(loaded.tokenizer, [q.text for q in used])
    live = attached(loaded, folder)
    found = [_scored(_scalars(live, encoded), inside, fitted)]
    _shuffle_down(live.model, seed)
    found.append(_scored(_scalars(live, encoded), inside, fitted))
    return Probed(found[0], found[1], int(fitted.sum()), int((~fitted).sum()))


def _scalars(live: Loaded, encoded: Sequence[Encoded]) -> Floats:
    """(n, maps): the mean of A x of each adapted map over a prompt's own tokens.

    A batch stops at the last map: nothing above it, and no LM head.
    """
    maps = [(n, m) for n, m in live.model.named_modules() if _DOWN.search(n)]
    found = np.empty((len(encoded), len(maps)))

    def read(batch: Batch) -> None:
        kept: dict[str, Tensor] = {}
        with ExitStack() as stack:
            for name, module in maps:
                hook = _keeper(kept, name, len(maps))
                stack.callback(module.register_forward_hook(hook).remove)
            run_until_stopped(live, batch)
        for column, (name, _) in enumerate(maps):
            values = pooled(kept[name], batch, "mean")[:, 0]
            found[list(batch.rows), column] = values.cpu().double().numpy()

    for_each(live, encoded, read)
    return found


def _keeper(kept: dict[str, Tensor], name: str, maps: int) -> Callable[..., None]:
    """A forward hook that keeps a map's output, and stops when those of all maps are there."""

    def keep(_: nn.Module, __: Any, output: Tensor) -> None:
        kept[name] = output
        if len(kept) == maps:
            raise StopForward

    return keep


def _shuffle_down(model: nn.Module, seed: int) -> None:
    """Gives every A random values of its own length."""
    generator = torch.Generator().manual_seed(seed % 2**63)
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if ".lora_A." in name:
                drawn = torch.randn(weight.shape, generator=generator).to(weight)
                weight.copy_(drawn * weight.norm() / drawn.norm())


def _scored(x: Floats, inside: npt.NDArray[np.bool_], fitted: npt.NDArray[np.bool_]) -> Interval:
    centre, spread = x[fitted].mean(axis=0), x[fitted].std(axis=0)
    z = (x - centre) / np.where(spread > 0, spread, 1.0)
    fit = LogisticRegression(max_iter=1000, class_weight="balanced").fit(z[fitted], inside[fitted])
    said = fit.decision_function(z[~fitted])
    return auroc_of_two(said[inside[~fitted]], said[~inside[~fitted]])
