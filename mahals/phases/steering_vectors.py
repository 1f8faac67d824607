"""Which direction leads from base to aligned in each model, and how reliable is it?"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

import numpy as np
import numpy.typing as npt
import torch

from mahals.arms.bench import arm_aqi, bench
from mahals.arms.directions import Direction, at_equal_kl, directions, placed
from mahals.arms.kinds import Label, Suite, steered_blocks
from mahals.figures import Labels, Measured, lines_over_layers, table
from mahals.phase import Cost, Kept, Lab, Phase, Summary, VectorCard
from mahals.readouts.pairs import OF_MODELS, Method, PairReader, Reading, Texts
from mahals.records import InputError, seed_of

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SELECTION_DRAWS = 5


@dataclass(frozen=True)
class Params:
    """Which vectors are made, from which texts, read at which tokens."""

    methods: tuple[Method, ...]
    svd_k: int  # which singular vector, from 1 (published: 3)
    svd_centered: bool
    texts: dict[str, Texts]  # by weights: what mean_difference and svd_k read
    pool: Literal["last", "mean"]
    pairs: int  # how many of the extraction split; 0 = all
    tokens: int  # longer texts lose their beginning
    layers: Literal["auto"] | tuple[float, ...]  # the blocks the selection score steers
    suite: Suite


@dataclass(frozen=True)
class Task:
    """All vectors of one model: they share the captured states."""

    models: tuple[str, ...]


@dataclass(frozen=True)
class Row:
    """One method at one block."""

    model: str
    method: Method
    block: int
    blocks: int
    width: int
    norm: float
    cosine: float  # mean over samples of cos(aligned, base), or cos(chosen, rejected)
    explained_variance: float | None  # None for the mean methods
    cosine_to_mean: float | None  # of svd_k and pca: how far they turned from the mean shift
    split_half: float  # cosine of the vectors of two halves; higher is more reliable
    samples: int
    shortened: int  # texts that lost their beginning
    empty: int  # answers without a word, read where they would begin
    texts: Texts
    vectors: str  # kept safetensors: values (L, d)
    revision: str  # of the base checkpoint that the vector belongs to
    selection_gain: float | None  # aqi over the mean random direction, selection split, equal KL
    steered: bool  # whether the selection score steered this block


def plan(params: Params, lab: Lab) -> Sequence[Task]:
    """One task. Raises InputError when a method is named twice or none is."""
    if not params.methods or len(set(params.methods)) < len(params.methods):
        raise InputError(
            "steering_vectors.methods",
            expected="one or more different methods",
            got=str(list(params.methods)),
            cure="name each method once",
        )
    return [Task((lab.unit,))]


def measure(task: Task, params: Params, lab: Lab) -> Iterator[Row]:
    """Every method's vectors at every block, kept as safetensors, with their selection score."""
    key = task.models[0]
    pairs = lab.pairs("extraction")
    pairs = pairs[: params.pairs] if params.pairs else pairs
    texts = params.texts[lab.weights]
    reading = Reading(texts, params.pool, params.tokens, params.svd_k, params.svd_centered)
    reader = PairReader(reading, lab, key, pairs)
    found = {method: reader.vectors(method) for method in params.methods}
    gains = _selection_gains({m: v.values for m, v in found.items()}, params, lab, key)
    base = lab.model(key, "base")
    steered = steered_blocks(params.layers, base.layers, lab.weights)
    for method, vectors in found.items():
        reference = lab.keep(f"{method}.safetensors", {"values": torch.from_numpy(vectors.values)})
        turned = vectors.metadata.get("cosine_to_mean")
        for block in range(base.layers):
            explained = vectors.explained_variance
            yield Row(
                model=key,
                method=method,
                block=block,
                blocks=base.layers,
                width=base.width,
                norm=float(vectors.norms[block]),
                cosine=float(vectors.cosine[block]),
                explained_variance=None if explained is None else float(explained[block]),
                cosine_to_mean=turned[block] if isinstance(turned, list) else None,
                split_half=float(vectors.split_half[block]),
                samples=int(vectors.metadata["samples"]),  # type: ignore[arg-type]
                shortened=reader.shortened(method),
                empty=reader.empty(method),
                texts=reader.texts(method),
                vectors=reference,
                revision=base.revision,
                selection_gain=gains[method] if block in steered else None,
                steered=block in steered,
            )


def _selection_gains(
    values: Mapping[Method, npt.NDArray[np.float32]], params: Params, lab: Lab, key: str
) -> dict[Method, float]:
    """AQI of each method minus the mean random direction, selection split, equal KL, in points."""
    at = bench(lab, key, "base", params.suite, "selection", None)
    blocks = steered_blocks(params.layers, at.loaded.layers, lab.weights)
    label = Label("steered", None, key, None, None, "add", "raw", blocks, None, None)
    seed = seed_of("selection directions", key, lab.seed)
    own = {m: placed(torch.from_numpy(v), blocks, "raw") for m, v in values.items()}
    first = next(iter(own.values()))
    random = [
        d for d in directions(label, first, SELECTION_DRAWS, seed) if d.label.draw is not None
    ]
    arms = [Direction(replace(label, method=m), v, 1.0) for m, v in own.items()]
    dosed = at_equal_kl(at, [*arms, *random], params.suite.dose_kl)
    scores = [s.aqi.estimate for s in arm_aqi(at, [d.arm for d in dosed])]
    mean = float(np.mean(scores[len(arms) :]))
    return {m: s - mean for m, s in zip(own, scores[: len(arms)], strict=True)}


def summarize(rows: Sequence[Row], kept: Kept) -> Summary:
    """Per model and method: cosine, reliability and selection gain; the order for same_arch.

    `potential` is 1 - the mean cosine of mean_difference: how far alignment turned the states.
    """
    models = list(dict.fromkeys(r.model for r in rows))
    metrics: dict[str, float] = {}
    for model in models:
        prefix = f"{model}/" if len(models) > 1 else ""
        for method in dict.fromkeys(r.method for r in rows if r.model == model):
            own = [r for r in rows if r.model == model and r.method == method]
            metrics |= {
                f"{prefix}{method}/cosine": float(np.mean([r.cosine for r in own])),
                f"{prefix}{method}/split_half": float(np.mean([r.split_half for r in own])),
                f"{prefix}{method}/norm": float(np.mean([r.norm for r in own])),
            }
            gain = next((r.selection_gain for r in own if r.selection_gain is not None), None)
            if gain is not None:
                metrics[f"{prefix}{method}/selection_gain"] = gain
    table = _potentials(rows)
    metrics |= {f"{m}/potential" if len(models) > 1 else "potential": p for m, p in table.items()}
    order = sorted(table, key=lambda m: -table[m])
    lines = [
        f"{m}: {_one(rows, m).blocks} blocks, width {_one(rows, m).width}, "
        f"mean cosine {1 - p:.3f}, potential {p:.3f}"
        for m, p in table.items()
    ]
    if len(order) > 1:
        lines.append(
            "recommended order for same_arch by potential: " + ", ".join(order) + " (whether the "
            "cosine predicts the gain is tested in same_arch, not assumed)"
        )
    return Summary(metrics, tuple(lines), (), tuple(_cards(rows)))


def _one(rows: Sequence[Row], model: str) -> Row:
    return next(r for r in rows if r.model == model)


def _potentials(rows: Sequence[Row]) -> dict[str, float]:
    """1 - mean cosine of the aligned and base states over blocks; absent without such a method."""
    found = {}
    for model in dict.fromkeys(r.model for r in rows):
        own = [r for r in rows if r.model == model and r.method in OF_MODELS]
        if own:
            found[model] = 1 - float(np.mean([r.cosine for r in own if r.method == own[0].method]))
    return found


def _cards(rows: Sequence[Row]) -> Iterator[VectorCard]:
    for model, method in dict.fromkeys((r.model, r.method) for r in rows):
        own = [r for r in rows if r.model == model and r.method == method]
        one = own[0]
        yield VectorCard(
            name=f"{model}.{method}",
            reference=one.vectors,
            target=model,
            source=model,
            method=method,
            selection_score=next(
                (r.selection_gain for r in own if r.selection_gain is not None), None
            ),
            metadata={
                "blocks": one.blocks,
                "width": one.width,
                "revision": one.revision,
                "texts": one.texts,
                "samples": one.samples,
                "split_half": [round(r.split_half, 6) for r in own],
                "cosine": [round(r.cosine, 6) for r in own],
                "norm": [round(r.norm, 6) for r in own],
                "cosine_to_mean": [
                    round(r.cosine_to_mean, 6) for r in own if r.cosine_to_mean is not None
                ],
            },
        )


def draw(rows: Sequence[Row], kept: Kept) -> Mapping[str, Figure]:
    """Per block: cosine, norm, explained variance; across models the same of the first method."""
    models = list(dict.fromkeys(r.model for r in rows))
    n = _one(rows, models[0]).samples
    caption = f"{n} extraction texts. No interval: one value per block over all texts."
    if len(models) == 1:
        return _model_figures(rows, caption)
    first = rows[0].method
    own = {m: [r for r in rows if r.model == m and r.method == first] for m in models}
    title = f"{first} over the blocks of each model"
    return {
        "cosine_similarity_comparison": lines_over_layers(
            {m: Measured([r.cosine for r in v]) for m, v in own.items()},
            Labels(f"Cosine of aligned and base states, {title}", "mean cosine", caption),
        ),
        "steering_norms_comparison": lines_over_layers(
            {m: Measured([r.norm for r in v]) for m, v in own.items()},
            Labels(f"Norm of {title}", "norm of the vector", caption),
        ),
        "model_dimensions": table(
            {
                "model": models,
                "blocks": [str(v[0].blocks) for v in own.values()],
                "width": [str(v[0].width) for v in own.values()],
                "mean cosine": [f"{np.mean([r.cosine for r in v]):.3f}" for v in own.values()],
                "potential": [f"{1 - np.mean([r.cosine for r in v]):.3f}" for v in own.values()],
                "split-half": [f"{np.mean([r.split_half for r in v]):.3f}" for v in own.values()],
            },
            Labels("Dimensions and vectors of the models", "", caption),
        ),
    }


def _model_figures(rows: Sequence[Row], caption: str) -> dict[str, Figure]:
    by_method: dict[str, list[Row]] = {
        m: [r for r in rows if r.method == m] for m in dict.fromkeys(r.method for r in rows)
    }
    found = {
        "cosine_similarity": lines_over_layers(
            {m: Measured([r.cosine for r in v]) for m, v in by_method.items()},
            Labels("Cosine of the two states that each method compares", "mean cosine", caption),
        ),
        "steering_vector_norms": lines_over_layers(
            {m: Measured([r.norm for r in v]) for m, v in by_method.items()},
            Labels("Norm of the steering vectors", "norm of the vector", caption),
        ),
        "split_half_reliability": lines_over_layers(
            {m: Measured([r.split_half for r in v]) for m, v in by_method.items()},
            Labels("Cosine of the vectors of two halves", "cosine", caption, better="higher"),
        ),
    }
    explained: dict[str, Measured] = {
        m: Measured([r.explained_variance for r in v])
        for m, v in by_method.items()
        if v[0].explained_variance is not None
    }
    if explained:
        found["explained_variance"] = lines_over_layers(
            explained, Labels("Variance along the component", "share", caption)
        )
    return found


PHASE = Phase(
    Params,
    Task,
    Row,
    plan,
    measure,
    summarize,
    draw,
    needs=("datasets", "organisms"),
    per="model",
    cost=Cost(seconds=10.0, megabytes=0.1),
)
