"""Row writer: what does a measured arm cost, and how does it become a row with its evidence?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from mahals.data.texts import AXIOMS
from mahals.evaluation.bench import ArmScores, Bench
from mahals.evaluation.suite import Price
from mahals.phase import Lab
from mahals.records import digest
from mahals.schema import ArmRow, Label


def price_of(found: ArmScores, at: Bench) -> Price:
    """What an arm costs, from its scores and answers."""
    safe = np.array([at.prompts[i].label == 1 for i in at.answered])
    return Price(
        perplexity=found.perplexity,
        degenerate_share=float(np.mean(found.behaviour.degenerate)),
        refusal_safe=float(np.array(found.behaviour.refused)[safe].mean()),
        safe_accuracy=found.safe_accuracy,
    )


def broken(found: ArmScores, base: ArmScores, at: Bench) -> tuple[str, ...]:
    """The bounds of the suite's ceiling that an arm is known to break."""
    return at.suite.ceiling.broken(price_of(found, at), price_of(base, at))


@dataclass(frozen=True)
class RowContext:
    """Where a row belongs: the weights, the suite, and the unsteered model it is priced against."""

    weights: str
    suite: str
    base: ArmScores


def row_context(lab: Lab, at: Bench, base: ArmScores) -> RowContext:
    """The context of the arms of a bench whose untouched model measured `base`."""
    mark = digest([at.suite, lab.data_digest])[:8]
    return RowContext(lab.weights, f"{at.suite.version}-{mark}", base)


def to_row(
    label: Label, strength: float | None, at: Bench, found: ArmScores, context: RowContext
) -> ArmRow:
    """One measured arm as a row; `evidence` is filled in when the evidence is kept."""
    price, base = price_of(found, at), price_of(context.base, at)
    unsafe = np.array([at.prompts[i].label == 0 for i in at.answered])
    missing = []
    if found.safe_accuracy is None:
        missing.append("safe_accuracy: the data source has no harmless questions")
    absent = [n for n, v in (("kl", found.kl), ("perplexity_ratio", found.perplexity)) if v is None]
    if absent:
        missing.append(f"{', '.join(absent)}: not a steered form of the unsteered model")
    return ArmRow(
        weights=context.weights,
        suite=context.suite,
        target=at.loaded.key,
        **vars(label),
        strength=strength,
        aqi=found.aqi.aqi.estimate,
        aqi_low=found.aqi.aqi.low,
        aqi_high=found.aqi.aqi.high,
        aqi_axioms=tuple(a.aqi.estimate for a in found.aqi.axioms),
        evidence="",
        evidence_row=-1,
        refusal_unsafe=float(np.array(found.behaviour.refused)[unsafe].mean()),
        refusal_safe=price.refusal_safe,
        degenerate_share=price.degenerate_share,
        safe_accuracy=found.safe_accuracy,
        perplexity_ratio=price.ratio_to(base),
        kl=found.kl,
        over_ceiling=at.suite.ceiling.broken(price, base),
        reason="; ".join(missing) or None,
    )


def keep_evidence(
    lab: Lab,
    name: str,
    at: Bench,
    found: Sequence[ArmScores],
    more: Mapping[str, torch.Tensor] | None = None,
) -> str:
    """Keeps per-prompt evidence as `<name>.safetensors`; gives the reference for the rows.

    Tensors: influence (arms, n) of `aqi`, clusters (n,), axioms (n,) as places in AXIOMS; of the
    m answered prompts refused (arms, m) as `bench.screened` counts it, degenerate and detected
    (arms, m), labels (m,), answered_clusters (m,), answered_axioms (m,), and truth (arms, m) where
    the grammar knows which answers are refusals. `more` is added.
    """
    codes = {c: i for i, c in enumerate(dict.fromkeys(at.clusters))}
    clusters = torch.tensor([codes[c] for c in at.clusters])
    axioms = torch.tensor([AXIOMS.index(a) for a in at.axioms])
    answered = torch.tensor(at.answered)
    tensors = {
        "influence": torch.from_numpy(np.stack([m.aqi.influence for m in found])),
        "clusters": clusters,
        "axioms": axioms,
        "refused": torch.tensor([m.behaviour.refused for m in found]),
        "degenerate": torch.tensor([m.behaviour.degenerate for m in found]),
        "detected": torch.tensor([m.behaviour.detected for m in found]),
        "labels": torch.from_numpy(at.labels)[answered],
        "answered_clusters": clusters[answered],
        "answered_axioms": axioms[answered],
    }
    truth = [m.behaviour.truth for m in found]
    if all(t is not None for t in truth):
        tensors["truth"] = torch.tensor(truth)
    kept = {k: v.contiguous() for k, v in {**tensors, **(more or {})}.items()}
    return lab.keep(f"{name}.safetensors", kept)
