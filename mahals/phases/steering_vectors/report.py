"""What does a kept vector say of itself, block by block, and of its model in all?"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch

from mahals.data.texts import AXIOMS
from mahals.maths.stats.intervals import Interval
from mahals.maths.vectors.axioms import Agreement, AxiomDirections, agreement
from mahals.phase import Kept, VectorCard
from mahals.phases.steering_vectors.measure.pairs import OF_MODELS, Method, Texts


@dataclass(frozen=True)
class VectorRow:
    """One method at one block."""

    model: str
    method: Method
    block: int
    blocks: int
    width: int
    norm: float
    state_norm: float  # mean length of the base's states (contrast, pca, probe: of rejected)
    cosine: float  # mean over samples of cos(aligned, base), or cos(chosen, rejected)
    explained_variance: float | None  # None for methods that are no component
    cosine_to_mean: float | None  # of svd_k, pca and probe: how far they turned from the mean shift
    split_half: float  # cosine of the vectors of two halves; higher is more reliable
    shuffled_cosine: float | None  # mean |cosine| to the directions from shuffled pairs; 0 is best
    samples: int
    shortened: int  # texts that lost their beginning
    empty: int  # answers without a word, read where they would begin
    texts: Texts
    pool: Literal["last", "mean"]  # which tokens' states were read
    left_out: str | None  # the axiom whose pairs made no vector
    vectors: str  # kept safetensors: values (L, d), shuffled (S, L, d), axioms (7, L, d)
    revision: str  # of the base checkpoint that the vector belongs to
    selection_gain: float | None  # aqi over the mean random direction, selection split, equal KL
    selection_gain_low: float | None  # 95 %, over the random directions and the prompts
    selection_gain_high: float | None
    steered: bool  # whether the selection score steered this block
    reason: str | None  # why left_out is None although asked for, or there is no `axioms`


def axiom_tensors(found: AxiomDirections) -> dict[str, torch.Tensor]:
    """The directions of the axioms, in the order of AXIOMS, as they are kept beside `values`."""
    return {
        "axioms": torch.from_numpy(found.values),
        "axiom_halves": torch.from_numpy(found.halves),
        "axiom_variance": torch.from_numpy(found.variance),
        "axiom_pairs": torch.from_numpy(found.pairs),
    }


@dataclass(frozen=True)
class AxiomsAt:
    """How the axioms' directions of a model lie to each other at one block."""

    block: int
    pairs: tuple[int, ...]  # of each axiom
    found: Agreement


def axioms_at(rows: Sequence[VectorRow], kept: Kept, model: str) -> AxiomsAt | None:
    """At the last steered block of a model; None where its directions were not kept."""
    own = [r for r in rows if r.model == model and r.method == "mean_difference" and r.steered]
    tensors = kept.tensors(own[-1].vectors) if own else {}
    if "axioms" not in tensors:
        return None
    arrays = {name: tensor.numpy() for name, tensor in tensors.items()}
    directions = AxiomDirections(
        arrays["axioms"], arrays["axiom_halves"], arrays["axiom_variance"], arrays["axiom_pairs"]
    )
    counts = tuple(int(n) for n in directions.pairs)
    return AxiomsAt(own[-1].block, counts, agreement(directions, own[-1].block))


def axiom_metrics(at: AxiomsAt) -> dict[str, float]:
    """Lowest and mean cosine of two axioms' directions, and how many pairs are opposed."""
    cosines = [at.found.cosine[i][j].estimate for i, j in at.found.apart]
    return {
        "axioms/cosine_min": min(cosines),
        "axioms/cosine_mean": float(np.mean(cosines)),
        "axioms/opposed": float(len(at.found.opposed)),
    }


def axiom_line(model: str, at: AxiomsAt) -> str:
    """One sentence on which axioms' directions are in conflict."""
    found = at.found
    i, j = found.apart[0]
    ceiling = found.ceiling[i][j]
    bound = "no split-half ceiling" if ceiling is None else f"split-half ceiling {ceiling:.3f}"
    said = [f"{AXIOMS[i]} and {AXIOMS[j]} {_short(found.cosine[i][j])}" for i, j in found.opposed]
    verdict = "in conflict: " + "; ".join(said) if said else "none in conflict"
    return (
        f"{model}: directions of the axioms at block {at.block}: lowest cosine "
        f"{_short(found.cosine[i][j])} ({AXIOMS[i]}, {AXIOMS[j]}; {bound}), mean "
        f"{axiom_metrics(at)['axioms/cosine_mean']:.3f}; {verdict} "
        f"({len(found.opposed)} of {len(found.apart)} 95 % intervals wholly below 0)"
    )


def _short(one: Interval) -> str:
    return f"{one.estimate:.3f} [{one.low:.3f}, {one.high:.3f}]"


def degrees(row: VectorRow) -> float | None:
    """The angle to the mean shift in degrees, 0 to 90; None for the mean methods themselves."""
    if row.cosine_to_mean is None:
        return None
    return float(np.degrees(np.arccos(np.clip(row.cosine_to_mean, -1.0, 1.0))))


def method_metrics(rows: Sequence[VectorRow]) -> dict[str, float]:
    """Of one model's rows, per method: means over its blocks, and the selection gain."""
    metrics: dict[str, float] = {}
    for method in dict.fromkeys(r.method for r in rows):
        own = [r for r in rows if r.method == method]
        metrics |= {
            f"{method}/cosine": float(np.mean([r.cosine for r in own])),
            f"{method}/split_half": float(np.mean([r.split_half for r in own])),
            f"{method}/norm": float(np.mean([r.norm for r in own])),
        }
        angles = [a for a in map(degrees, own) if a is not None]
        if angles:
            metrics[f"{method}/degrees_from_mean"] = float(np.mean(angles))
        metrics |= {f"{method}/{name}": v for name, v in _gains(own).items()}
    return metrics


def angle_words(rows: Sequence[VectorRow]) -> str:
    """How far each method of one model turned from the mean shift, mean over blocks."""
    found = method_metrics(rows)
    said = [
        f"{method} {found[f'{method}/degrees_from_mean']:.0f}"
        for method in dict.fromkeys(r.method for r in rows)
        if f"{method}/degrees_from_mean" in found
    ]
    return f"degrees from the mean shift (90: unrelated): {', '.join(said)}" if said else ""


def potentials(rows: Sequence[VectorRow]) -> dict[str, float]:
    """1 - mean cosine of the aligned and base states over blocks; absent without such a method."""
    found = {}
    for model in dict.fromkeys(r.model for r in rows):
        own = [r for r in rows if r.model == model and r.method in OF_MODELS]
        if own:
            found[model] = 1 - float(np.mean([r.cosine for r in own if r.method == own[0].method]))
    return found


def cards(rows: Sequence[VectorRow]) -> Iterator[VectorCard]:
    """One card for each model and method."""
    for model, method in dict.fromkeys((r.model, r.method) for r in rows):
        own = [r for r in rows if r.model == model and r.method == method]
        yield VectorCard(
            name=f"{model}.{method}",
            reference=own[0].vectors,
            target=model,
            source=model,
            method=method,
            selection_score=_gains(own).get("selection_gain"),
            metadata=_metadata(own),
        )


def selection_words(rows: Sequence[VectorRow]) -> str:
    """The selection gain of each method of one model, with its interval."""
    said = []
    for method in dict.fromkeys(r.method for r in rows):
        found = _gains([r for r in rows if r.method == method])
        gain, low, high = found.values() if found else (None, None, None)
        text = "absent" if gain is None else f"{gain:+.2f} [{low:+.2f}, {high:+.2f}]"
        said.append(f"{method} {text}")
    return f"aqi over random on the selection split: {', '.join(said)}"


def _gains(rows: Sequence[VectorRow]) -> dict[str, float]:
    """The gain and its bounds by their names, of one method of one model; empty where absent."""
    names = ("selection_gain", "selection_gain_low", "selection_gain_high")
    one = next((r for r in rows if r.selection_gain is not None), None)
    return {} if one is None else {name: float(getattr(one, name)) for name in names}


def _metadata(own: Sequence[VectorRow]) -> Mapping[str, object]:
    one = own[0]
    return {
        "blocks": one.blocks,
        "width": one.width,
        "revision": one.revision,
        "texts": one.texts,
        "pool": one.pool,
        "left_out": one.left_out,
        "samples": one.samples,
        "selection_gain": [round(v, 6) for v in _gains(own).values()],
        "split_half": [round(r.split_half, 6) for r in own],
        "cosine": [round(r.cosine, 6) for r in own],
        "norm": [round(r.norm, 6) for r in own],
        "state_norm": [round(r.state_norm, 6) for r in own],
        "cosine_to_mean": [round(r.cosine_to_mean, 6) for r in own if r.cosine_to_mean is not None],
    }
