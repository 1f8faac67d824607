"""Best source: whose vector does a target take, moved by which map?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Annotated

from mahals.evaluation.arms import Direction, crossed_label
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


@dataclass(frozen=True)
class Destination:
    """The blocks of a target into which vectors travel, and how they do."""

    at: Bench
    label: Label  # of the target's own vector
    own: Native
    how: Crossing


def transferred(to: Destination, lab: Lab, role: Role) -> Transferred:
    """The vector of the chosen source, as long as the target's own at every steered block.

    `best`: the source whose vector gives the model of `to.at` the highest refusal gap on the
    selection split, at the headline dose. The maps are fitted between the base checkpoints.
    """
    key, how = to.at.loaded.key, to.how
    others = [m for m in lab.models if m != key]
    if how.source not in ("best", "none"):
        others = [m for m in others if m == how.source]
    if how.source == "none" or not others:
        why = "crossing.source is none" if how.source == "none" else "no other model"
        return Transferred(None, None, f"transferred vector: not measured, {why}")
    found = [d for source in others for d in _moved(source, to, (), lab)]
    if not found:
        return Transferred(None, None, "transferred vector: not measured, the widths differ")
    if len(others) == 1:
        return Transferred(found[0], None, None)
    return _best(to.at, found, lab, role)


def through_shuffled_maps(source: str, to: Destination, draws: int, lab: Lab) -> list[Direction]:
    """The source's vector through maps fitted on rows without correspondence.

    The nulls of a vector that crossed; none where its map is not fitted.
    """
    found = _moved(source, to, tuple(range(draws)), lab)
    return [d for d in found if d.label.arm == "shuffled"]


def _moved(source: str, to: Destination, null_draws: tuple[int, ...], lab: Lab) -> list[Direction]:
    method, how = str(to.label.method), to.how
    theirs = native(lab, source, method, to.at.suite.single_method)
    norms = {b: float(to.own.values[b].double().norm()) for b in to.label.layers}
    named = crossed_label(to.label, theirs)
    texts = TextReading(read_pool(lab, source, theirs.method), how.layer_match)
    transfer = VectorTransfer(source, theirs.values, named, norms, texts)
    plan = TransferPlan((how.map,), how.layer_match, (), 0, null_draws)
    target: tuple[str, Role] = (to.at.loaded.key, "base")
    return [m.direction for m in transfer_directions(transfer, plan, target, lab)]


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
