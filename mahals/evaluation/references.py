"""References: what do the unsteered model, the instructed one and the aligned checkpoint do?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from mahals.evaluation.bench import Bench, bench, instructed
from mahals.evaluation.cache import cached_scores
from mahals.evaluation.scores import ArmScores
from mahals.evaluation.sham import has_sham
from mahals.evaluation.suite import Suite
from mahals.models.steering.batch_invariance import check_batched
from mahals.models.steering.interventions import Arm
from mahals.phase import Lab
from mahals.records import InputError
from mahals.schema import UNSTEERED, ArmKind, Label


@dataclass(frozen=True)
class References:
    """The arms without a vector that stand beside every steered one of a target."""

    at: Bench  # of the base, on which steered arms are measured
    found: dict[ArmKind, ArmScores]  # unsteered, prompt and, where there is one, aligned, sham
    missed: tuple[str, ...]  # why there is no aligned one

    @property
    def base(self) -> ArmScores:
        """The unsteered model, against which all are priced."""
        return self.found["unsteered"]

    @property
    def measured(self) -> list[tuple[Label, ArmScores]]:
        """Each with its label."""
        return [(replace(UNSTEERED, arm=kind), scores) for kind, scores in self.found.items()]


def references(lab: Lab, key: str, suite: Suite, split: str) -> References:
    """The unsteered model, the instruction in the prompt, the aligned checkpoint of a pair and,
    where that was trained here, its sham.

    Raises RuntimeError where a text's state depends on its batch.
    """
    base = bench(lab, key, "base", suite, split)
    benches: dict[ArmKind, Bench] = {
        "unsteered": base,
        "prompt": instructed(base, suite.instruction[lab.weights]),
    }
    single = lab.single(key)
    if single is None:
        benches["aligned"] = bench(lab, key, "aligned", suite, split)
    if has_sham(lab, key):
        benches["sham"] = bench(lab, key, "sham", suite, split)
    for kind, at in benches.items():
        check_batched(at.loaded, at.encoded, Arm(kind, ()), at.readout)
    found = {
        kind: cached_scores(lab.cache, at, [Arm(kind, ())], neutral=kind != "prompt")[0]
        for kind, at in benches.items()
    }
    if single is not None:
        return References(base, found, (f"aligned checkpoint: {single.reason}",))
    for kind in ("aligned", "sham"):
        if kind in found:  # a model has no KL from itself
            found[kind] = replace(found[kind], shift=None)
    return References(base, found, ())


def check_aligned(lab: Lab, models: Sequence[str], key: str, without: str) -> None:
    """Raises InputError for a model without an aligned half, where the value of `key` asks for it.

    To be asked in a plan: before anything is measured. `without` is a value that asks for none.
    """
    for model in models:
        single = lab.single(model)
        if single is not None and single.role == "base":
            raise InputError(
                key,
                expected="models with an aligned checkpoint",
                got=single.reason,
                cure=f"leave {model} out, or use {without}",
            )
