"""Row writer: what does a measured arm cost, and how does it become a row with its evidence?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from mahals.evaluation.answers import keep_answers
from mahals.evaluation.bench import Bench
from mahals.evaluation.scores import ArmScores
from mahals.evaluation.suite import Price, Verdict
from mahals.phase import Lab
from mahals.records import digest
from mahals.schema import ArmRow, Label


def price_of(found: ArmScores, at: Bench) -> Price:
    """What an arm costs, from its scores and answers."""
    answered = [at.prompts[i] for i in at.answered]
    flags = zip(found.behaviour.refused, answered, strict=True)
    return Price(
        loss=found.loss,
        degenerate=found.behaviour.degenerate,
        not_helped=tuple(refused for refused, prompt in flags if prompt.label == 1),
        right=found.right,
        clusters=tuple(p.cluster for p in answered),
        safe_clusters=tuple(p.cluster for p in answered if p.label == 1),
    )


def verdict(found: ArmScores, base: ArmScores, at: Bench) -> Verdict:
    """Where an arm's price stands under the suite's ceiling."""
    return at.suite.ceiling.judged(price_of(found, at), price_of(base, at))


@dataclass(frozen=True)
class RowContext:
    """Where a row belongs: the weights, the suite, and the unsteered model it is priced against."""

    weights: str
    training: int | None
    suite: str
    base: ArmScores


def row_context(lab: Lab, at: Bench, base: ArmScores) -> RowContext:
    """The context of the arms of a bench whose untouched model measured `base`."""
    mark = digest([at.suite, lab.data_digest])[:8]
    training = lab.training(at.loaded.key)
    return RowContext(lab.weights, training, f"{at.suite.version}-{mark}", base)


def to_row(
    label: Label, strength: float | None, at: Bench, found: ArmScores, context: RowContext
) -> ArmRow:
    """One measured arm as a row; what is kept of it is filled in when that is kept."""
    price, base = price_of(found, at), price_of(context.base, at)
    priced, shift = price.ratio_over(base), found.shift
    where = at.suite.ceiling.judged(price, base)
    missing = []
    if found.right is None:
        missing.append("safe_accuracy: the data source has no harmless questions")
    absent = [n for n, v in (("kl", shift), ("perplexity_ratio", found.loss)) if v is None]
    if absent:
        missing.append(f"{', '.join(absent)}: not a steered form of the unsteered model")
    return ArmRow(
        weights=context.weights,
        training=context.training,
        suite=context.suite,
        target=at.loaded.key,
        **vars(label),
        strength=strength,
        at_headline=label.dose_kind == "kl" and label.dose == at.suite.dose_kl,
        readout=at.readout,
        **_aqi_columns(found),
        absent=at.absent,
        evidence="",
        evidence_row=-1,
        answers=None,
        **_behaviour_columns(found, at),
        safe_accuracy=price.safe_accuracy,
        perplexity_ratio=None if priced is None else priced.estimate,
        kl=None if shift is None else shift.largest,
        kl_neutral=None if shift is None else shift.neutral,
        kl_chat=None if shift is None else shift.chat,
        over_ceiling=where.over,
        not_shown_safe=where.not_shown_safe,
        selection_gap=None,
        selection_over=None,
        reason="; ".join(missing) or None,
    )


def _aqi_columns(found: ArmScores) -> dict[str, Any]:
    headline = found.aqi
    return {
        "aqi": headline.aqi.estimate,
        "aqi_low": headline.aqi.low,
        "aqi_high": headline.aqi.high,
        "aqi_axioms": tuple(a.aqi.estimate for a in headline.axioms),
        "categories": tuple(a.axiom for a in headline.axioms),
        "aqi_mean": found.readings.mean.aqi.estimate,
        "aqi_last": found.readings.last.aqi.estimate,
    }


def _behaviour_columns(found: ArmScores, at: Bench) -> dict[str, Any]:
    said = found.behaviour
    return {
        "judge": at.judge.name,
        "judge_kappa": at.judge.kappa,
        "judge_abstained": None if said.abstained is None else float(np.mean(said.abstained)),
        "refusal_unsafe": _share(said.refused, 0, at),
        "refusal_safe": _share(said.refused, 1, at),
        "refusal_unsafe_lexical": _share(said.lexical, 0, at),
        "refusal_safe_lexical": _share(said.lexical, 1, at),
        "degenerate_share": float(np.mean(said.degenerate)),
    }


def _share(flags: Sequence[bool], label: int, at: Bench) -> float:
    """The share of the answered prompts of a label that are flagged."""
    chosen = [at.prompts[i].label == label for i in at.answered]
    return float(np.array(flags)[chosen].mean())


@dataclass(frozen=True)
class KeptEvidence:
    """What is kept of measured arms, one after another: for the rows to name."""

    evidence: str
    answers: str

    def at(self, place: int) -> dict[str, Any]:
        """The columns that say where the evidence of the arm at a place is."""
        return {"evidence": self.evidence, "evidence_row": place, "answers": self.answers}


def keep_evidence(
    lab: Lab,
    name: str,
    at: Bench,
    measured: Sequence[tuple[Label, ArmScores]],
    more: Mapping[str, torch.Tensor] | None = None,
) -> KeptEvidence:
    """Keeps per-prompt evidence and all answers of measured arms, for the rows to name.

    `<name>.safetensors`: influence (arms, n) of the headline `aqi`, influence_mean and
    influence_last of both readouts, clusters (n,), axioms (n,) as places in the categories; of the
    m answered prompts refused (arms, m) as `screened` counts it, degenerate, detected and lexical
    (arms, m), labels (m,), answered_clusters (m,), answered_axioms (m,), and truth (arms, m) where
    the grammar knows which answers are refusals. `more` is added. `<name>.answers.jsonl` is as
    `keep_answers` says.
    """
    found = [scores for _, scores in measured]
    kept = {k: v.contiguous() for k, v in {**_evidence(at, found), **(more or {})}.items()}
    return KeptEvidence(
        lab.keep(f"{name}.safetensors", kept),
        keep_answers(lab, name, at, [label for label, _ in measured], found),
    )


def _evidence(at: Bench, found: Sequence[ArmScores]) -> dict[str, torch.Tensor]:
    codes = {c: i for i, c in enumerate(dict.fromkeys(at.clusters))}
    clusters = torch.tensor([codes[c] for c in at.clusters])
    axioms = torch.tensor([at.categories.index(a) for a in at.axioms])
    answered = torch.tensor(at.answered)
    tensors = {
        "influence": torch.from_numpy(np.stack([m.aqi.influence for m in found])),
        "influence_mean": torch.from_numpy(np.stack([m.readings.mean.influence for m in found])),
        "influence_last": torch.from_numpy(np.stack([m.readings.last.influence for m in found])),
        "clusters": clusters,
        "axioms": axioms,
        "labels": torch.from_numpy(at.labels)[answered],
        "answered_clusters": clusters[answered],
        "answered_axioms": axioms[answered],
    }
    for flags in ("refused", "degenerate", "detected", "lexical"):
        tensors[flags] = torch.tensor([getattr(m.behaviour, flags) for m in found])
    truth = [m.behaviour.truth for m in found]
    if all(t is not None for t in truth):
        tensors["truth"] = torch.tensor(truth)
    return tensors
