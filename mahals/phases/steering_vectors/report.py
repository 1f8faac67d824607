"""Report of steering_vectors: what does a vector say of itself and of its model?"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from mahals.maths.vectors.axioms import Agreement, AxiomDirections, agreement
from mahals.phase import Kept, Summary
from mahals.phases.steering_vectors.rows import Row
from mahals.reporting.evidence import Evidence
from mahals.reporting.report import Report, by_model
from mahals.schema import OF_MODELS, VectorCard


@dataclass(frozen=True)
class AxiomsAt:
    """How the axioms' directions of a model lie to each other at one block."""

    block: int
    categories: tuple[str, ...]
    pairs: tuple[int, ...]  # of each category
    found: Agreement


def axioms_at(table: Evidence[Row], model: str) -> AxiomsAt | None:
    """At the last steered block of a model; None where not two directions were kept."""
    own = table.where(model=model, method="mean_difference", steered=True)
    tensors = table.tensors(own[-1].vectors) if own else {}
    if "axioms" not in tensors or len(own[-1].categories) < 2:
        return None
    arrays = {name: tensor.numpy() for name, tensor in tensors.items()}
    directions = AxiomDirections(
        arrays["axioms"], arrays["axiom_halves"], arrays["axiom_variance"], arrays["axiom_pairs"]
    )
    counts = tuple(int(n) for n in directions.pairs)
    found = agreement(directions, own[-1].block)
    return AxiomsAt(own[-1].block, own[-1].categories, counts, found)


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
    names = at.categories
    ceiling = found.ceiling[i][j]
    bound = "no split-half ceiling" if ceiling is None else f"split-half ceiling {ceiling:.3f}"
    said = [f"{names[i]} and {names[j]} {found.cosine[i][j]:.3f}" for i, j in found.opposed]
    verdict = "in conflict: " + "; ".join(said) if said else "none in conflict"
    return (
        f"{model}: directions of the axioms at block {at.block}: lowest cosine "
        f"{found.cosine[i][j]:.3f} ({names[i]}, {names[j]}; {bound}), mean "
        f"{axiom_metrics(at)['axioms/cosine_mean']:.3f}; {verdict} "
        f"({len(found.opposed)} of {len(found.apart)} 95 % intervals wholly below 0)"
    )


def degrees(row: Row) -> float | None:
    """The angle to the mean shift in degrees, 0 to 90; None for the mean methods themselves."""
    if row.cosine_to_mean is None:
        return None
    return float(np.degrees(np.arccos(np.clip(row.cosine_to_mean, -1.0, 1.0))))


def method_metrics(rows: Sequence[Row]) -> dict[str, float]:
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


def angle_words(rows: Sequence[Row]) -> str:
    """How far each method of one model turned from the mean shift, mean over blocks."""
    found = method_metrics(rows)
    said = [
        f"{method} {found[f'{method}/degrees_from_mean']:.0f}"
        for method in dict.fromkeys(r.method for r in rows)
        if f"{method}/degrees_from_mean" in found
    ]
    return f"degrees from the mean shift (90: unrelated): {', '.join(said)}" if said else ""


def potentials(table: Evidence[Row]) -> dict[str, float]:
    """1 - mean cosine of the aligned and base states over blocks; absent without such a method."""
    by_model = {}
    for model in table.values_of("model"):
        own = [r for r in table.where(model=model) if r.method in OF_MODELS]
        if own:
            cosines = [r.cosine for r in own if r.method == own[0].method]
            by_model[model] = 1 - float(np.mean(cosines))
    return by_model


def cards(table: Evidence[Row]) -> Iterator[VectorCard]:
    """One card for each model and method."""
    for model, method in dict.fromkeys((r.model, r.method) for r in table.rows):
        own = table.where(model=model, method=method)
        yield VectorCard(
            name=f"{model}.{method}",
            reference=own[0].vectors,
            target=model,
            source=model,
            method=method,
            selection_score=_gains(own).get("selection_gain"),
            metadata=_metadata(own),
        )


def selection_words(rows: Sequence[Row]) -> str:
    """The selection gain of each method of one model, with its interval."""
    said = []
    for method in dict.fromkeys(r.method for r in rows):
        found = _gains([r for r in rows if r.method == method])
        gain, low, high = found.values() if found else (None, None, None)
        text = "absent" if gain is None else f"{gain:+.2f} [{low:+.2f}, {high:+.2f}]"
        said.append(f"{method} {text}")
    return f"refusal gap over random on the selection split: {', '.join(said)}"


def _gains(rows: Sequence[Row]) -> dict[str, float]:
    """The gain and its bounds by their names, of one method of one model; empty where absent."""
    names = ("selection_gain", "selection_gain_low", "selection_gain_high")
    one = next((r for r in rows if r.selection_gain is not None), None)
    return {} if one is None else {name: float(getattr(one, name)) for name in names}


def _metadata(own: Sequence[Row]) -> Mapping[str, object]:
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


def summarize(rows: Sequence[Row], kept: Kept) -> Summary:
    """Per model and method: cosine, reliability, selection gain; which axioms are in conflict.

    `potential` is 1 - the mean cosine of mean_difference: how far alignment turned the states. The
    models' order by it is the one recommended for same_arch.
    """
    table = Evidence(rows, kept)
    told, potential = by_model(table, _report_model), potentials(table)
    lines = told.lines
    order = sorted(potential, key=lambda m: -potential[m])
    if len(order) > 1:
        lines.append(
            "recommended order for same_arch by potential: " + ", ".join(order) + " (whether the "
            "cosine predicts the gain is tested in same_arch, not assumed)"
        )
    return Summary(told.metrics, tuple(lines), (), tuple(cards(table)))


def _report_model(table: Evidence[Row], model: str) -> Report:
    own, at, potential = table.where(model=model), axioms_at(table, model), potentials(table)
    metrics = method_metrics(own)
    lines = [_model_line(own, potential)]
    if at:
        metrics |= axiom_metrics(at)
        lines.append(axiom_line(model, at))
    if model in potential:
        metrics["potential"] = potential[model]
    return Report(metrics, lines)


def _model_line(own: Sequence[Row], potential: Mapping[str, float]) -> str:
    """What one model's vectors are, in one sentence."""
    one = own[0]
    parts = [f"{one.model}: {one.blocks} blocks, width {one.width}"]
    if one.model in potential:
        turn = potential[one.model]
        parts[0] += f", mean cosine {1 - turn:.3f}, potential {turn:.3f}"
    parts += [words for words in (angle_words(own), selection_words(own)) if words]
    parts.append(f"left out: {one.left_out or 'no axiom'}")
    reasons = list(dict.fromkeys(r.reason for r in own if r.reason))
    return "; ".join([*parts, *reasons])
