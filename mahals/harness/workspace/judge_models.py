"""Judge models: does a phase read the checkpoint that its judge is, so that its results hold it?"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from mahals.harness.workspace.settings import Settings, effective, reads_of
from mahals.phase import STUDY, Phase
from mahals.records import InputError

if TYPE_CHECKING:
    from mahals.models.checkpoints.registry import ModelEntry

LOCAL = ("model", "states")  # judges that load a checkpoint


def check_judges(settings: Settings, phase: Phase, registry: Mapping[str, ModelEntry]) -> None:
    """Raises InputError, one line, for a judge whose checkpoint some unit of the phase cannot load.

    A unit loads the models that it reads: the weights of these alone are in its fingerprint and in
    its plan of memory. The judge is its aligned checkpoint, which has to lie in a place of its own.
    """
    units = settings.models if phase.per == "model" else (STUDY,)
    for name, model in _judges(effective(settings, phase), settings.weights):
        for unit in units:
            reads = reads_of(settings.values, phase, unit)
            if model not in reads:
                raise InputError(
                    f"judge {name} of {phase.name}/{unit}",
                    expected="a model that the unit reads (" + (", ".join(reads) or "none") + ")",
                    got=repr(model),
                    cure="name the judge openai (a server, also one on this machine) or one that "
                    "needs no checkpoint; refusals in stored answers are judged by any checkpoint "
                    "with `mahals score`",
                )
        if settings.weights == "hub":
            _check_aligned(name, model, registry)


def _check_aligned(name: str, model: str, registry: Mapping[str, ModelEntry]) -> None:
    entry = registry[model]
    trained = entry.pair == "trained"
    if trained or entry.aligned is None:
        raise InputError(
            f"judge {name}",
            expected="a model whose aligned checkpoint lies in a place of its own",
            got=f"{model}, " + ("whose pair is trained here" if trained else "a base alone"),
            cure="name another model, the judge openai, or one that needs no checkpoint; refusals "
            "in stored answers are judged by any checkpoint with `mahals score`",
        )


def _judges(params: Any, weights: str) -> Iterator[tuple[str, str]]:
    """The name and the model of each judge of a phase's params that loads a checkpoint."""
    suite, choice = getattr(params, "suite", None), getattr(params, "judge", None)
    if suite is not None and suite.judge.get(weights) in LOCAL:
        yield suite.judge[weights], suite.judging.model
    if choice is not None and choice.name in LOCAL:
        yield choice.name, choice.model
