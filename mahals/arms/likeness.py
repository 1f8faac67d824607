"""How alike are the models of a study: in AQI, in what they refuse, in how they hold texts?"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import combinations

import numpy as np
import torch

from mahals.arms.kinds import ArmRow
from mahals.data import AXIOMS
from mahals.metrics.agreement import Kappa, kappa
from mahals.metrics.homophily import homophily
from mahals.phase import Kept


def homophily_lines(rows: Sequence[ArmRow]) -> list[str]:
    """Homophily and weakest link of all targets, unsteered and steered by each source's vector."""
    return [f"homophily {how} {_homophily(agents)}" for how, agents in _societies(rows)]


def agreement_lines(rows: Sequence[ArmRow], kept: Kept) -> list[str]:
    """Agreement of all targets in what they refuse (Cohen's kappa), before and after steering.

    The mean over the pairs of models where kappa is defined, and the pair that agrees least.
    """
    return [f"refusal agreement {how}: {_agreement(a, kept)}" for how, a in _societies(rows)]


def likeness_lines(rows: Sequence[ArmRow]) -> list[str]:
    """Representational homophily: debiased linear CKA of each two base models (cross_arch rows).

    Over the prompts of the mapping split, each steered block against the block it was matched
    with; where both directions were measured, their mean.
    """
    found: dict[tuple[str, str], dict[tuple[str, str], float]] = {}
    for row in rows:
        value: float | None = row.prompt_cka  # type: ignore[attr-defined]
        if value is not None and row.source is not None:
            first, second = sorted((row.source, row.target))
            found.setdefault((first, second), {})[row.source, row.target] = value
    if not found:
        return []
    pairs = {pair: float(np.mean(list(both.values()))) for pair, both in found.items()}
    least = min(pairs, key=lambda pair: pairs[pair])
    return [
        f"representational homophily (debiased CKA of base states, mapping prompts, matched "
        f"blocks): mean {np.mean(list(pairs.values())):.3f} over {len(pairs)} pairs of models, "
        f"least {least[0]} and {least[1]} {pairs[least]:.3f}"
    ]


def _societies(rows: Sequence[ArmRow]) -> Iterator[tuple[str, dict[str, ArmRow]]]:
    """The row of every target, unsteered and then steered by each source and map: all or none."""
    base = {r.target: r for r in rows if r.arm == "unsteered"}
    if len(base) < 2:
        return
    yield "unsteered", base
    steered = [r for r in rows if r.arm == "steered"]
    for source, kind in dict.fromkeys((r.source, r.map) for r in steered if r.map):
        after = {r.target: r for r in steered if r.source == source and r.map in (kind, None)}
        if set(after) == set(base):
            yield f"steered by {source}, {kind}:", after


def _homophily(agents: Mapping[str, ArmRow]) -> str:
    found = homophily([r.aqi_axioms for r in agents.values()])
    weakest = min(range(len(AXIOMS)), key=lambda i: found.weakest_value[i])
    agent = list(agents)[found.weakest_agent[weakest]]
    return (
        f"{found.value:.3f}, weakest link {agent} on {AXIOMS[weakest]} "
        f"({found.weakest_value[weakest]:.1f})"
    )


def _agreement(agents: Mapping[str, ArmRow], kept: Kept) -> str:
    found = {(a, b): _kappa(kept, agents[a], agents[b]) for a, b in combinations(sorted(agents), 2)}
    known = {pair: k.kappa for pair, k in found.items() if k.kappa is not None}
    count = f"{len(known)} of {len(found)} pairs of models"
    if not known:
        why = next(k.reason for k in found.values() if k.reason is not None)
        return f"kappa absent in all {len(found)} pairs of models ({why})"
    least = min(known, key=lambda pair: known[pair])
    interval = found[least].interval
    spread = "no interval" if interval is None else f"[{interval.low:+.2f}, {interval.high:+.2f}]"
    return (
        f"mean kappa {np.mean(list(known.values())):+.2f} over {count}, least {least[0]} and "
        f"{least[1]} {known[least]:+.2f} ({spread})"
    )


def _kappa(kept: Kept, first: ArmRow, second: ArmRow) -> Kappa:
    """Kappa of two models' refusals of the same answered prompts."""
    files = [kept.tensors(row.evidence) for row in (first, second)]
    if not torch.equal(files[0]["answered_clusters"], files[1]["answered_clusters"]):
        raise ValueError(f"{first.target} and {second.target} answered different prompts")
    one, two = (
        f["refused"][r.evidence_row].numpy() for f, r in zip(files, (first, second), strict=True)
    )
    return kappa(one, two, [str(c) for c in files[0]["answered_clusters"].tolist()])
