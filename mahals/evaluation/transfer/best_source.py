"""Best source: whose vector does a target take, moved by which map?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Annotated

from mahals.evaluation.arms import Direction
from mahals.evaluation.bench import Bench, bench
from mahals.evaluation.dose import within_reach
from mahals.evaluation.native_vectors import Native, native
from mahals.evaluation.scores import measure_arms
from mahals.evaluation.selection import refusal_gap
from mahals.evaluation.transfer.arms import TransferPlan, VectorTransfer, transfer_directions
from mahals.evaluation.transfer.states import TextReading, read_pool
from mahals.maths.transfer.fitting import MapKind
from mahals.maths.transfer.layers import LayerMatch
from mahals.phase import Lab, Role
from mahals.records import Among
from mahals.schema import Label


@dataclass(frozen=True)
class Crossing:
    """Whose vector travels into the target, and how."""

    source: Annotated[str, Among("models", ("best", "none"))]  # best: on the selection split
    map: MapKind
    layer_match: LayerMatch


@dataclass(frozen=True)
class Transferred:
    """Another model's vector in the target's blocks, or why there is none."""

    direction: Direction | None
    selection_gap: float | None  # refusal gap on the selection split; None where none was chosen
    reason: str | None


def transferred(
    at: Bench, label: Label, own: Native, how: Crossing, lab: Lab, role: Role
) -> Transferred:
    """The vector of the chosen source, as long as the target's own at every steered block.

    `best`: the source whose vector gives the dealigned model of `at` the highest refusal gap on
    the selection split, at the headline dose. The maps are fitted between the base checkpoints.
    """
    key = at.loaded.key
    others = [m for m in lab.models if m != key]
    if how.source not in ("best", "none"):
        others = [m for m in others if m == how.source]
    if how.source == "none" or not others:
        why = "crossing.source is none" if how.source == "none" else "no other model"
        return Transferred(None, None, f"transferred vector: not measured, {why}")
    found = [d for source in others for d in _moved(source, at, label, own, how, lab)]
    if not found:
        return Transferred(None, None, "transferred vector: not measured, the widths differ")
    if len(others) == 1:
        return Transferred(found[0], None, None)
    return _best(at, found, lab, role)


def _moved(
    source: str, at: Bench, label: Label, own: Native, how: Crossing, lab: Lab
) -> list[Direction]:
    method = str(label.method)
    theirs = native(lab, source, method)
    norms = {b: float(own.values[b].double().norm()) for b in label.layers}
    named = replace(label, source=source, vector=theirs.mark, kept=theirs.kept)
    texts = TextReading(read_pool(lab, source, method), how.layer_match)
    transfer = VectorTransfer(source, theirs.values, named, norms, texts)
    plan = TransferPlan((how.map,), how.layer_match, (), 0, ())
    return [m.direction for m in transfer_directions(transfer, plan, (at.loaded.key, "base"), lab)]


def _best(at: Bench, found: Sequence[Direction], lab: Lab, role: Role) -> Transferred:
    """The direction with the highest refusal gap on the selection split; then the highest aqi."""
    there = replace(bench(lab, at.loaded.key, role, at.suite, "selection"), loaded=at.loaded)
    reached = within_reach(there, found, there.suite.dose_kl)
    if not reached.dosed:
        return Transferred(None, None, "transferred vector: not measured, none has the dose")
    measured = measure_arms(there, [d.arm for d in reached.dosed], neutral=False)
    scores = [(refusal_gap(m, there), m.aqi.aqi.estimate) for m in measured]
    chosen = max(range(len(scores)), key=lambda i: (scores[i], -i))
    source = reached.dosed[chosen].label.source
    direction = next(d for d in found if d.label.source == source)
    return Transferred(direction, scores[chosen][0], None)
