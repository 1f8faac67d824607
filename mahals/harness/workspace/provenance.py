"""Provenance: of which weights, which training and which suite are rows, in one line?"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

CONTROL = "a declared positive control"  # what organisms are, wherever their numbers stand


@dataclass(frozen=True)
class Provenance:
    """What the rows behind numbers, sentences and figures were measured on."""

    weights: str  # organism | hub
    trainings: tuple[int, ...]  # seeds of the organisms' training; none of the hub
    suites: tuple[str, ...]  # where rows name them
    models: tuple[str, ...]  # none where no model was read

    @property
    def line(self) -> str:
        """The weights, the training and the suite, as they stand below every figure."""
        if not self.models:
            return f"no model read; texts for {self.weights} weights"
        parts = [f"{self.weights} weights"]
        if self.trainings:
            many = "s" if len(self.trainings) > 1 else ""
            parts[0] += f", training seed{many} {', '.join(map(str, self.trainings))}"
        if self.weights == "organism":
            parts[0] += f" ({CONTROL})"
        if self.suites:
            parts.append(f"suite {', '.join(self.suites)}")
        return "; ".join(parts)


def provenance(run: Mapping[str, Any], rows: Sequence[Any]) -> Provenance:
    """Of the results whose run.json is `run`. The trainings and suites are those that rows name.

    Where rows name no training they are those of run.json, which results of an earlier time lack.
    """
    trained = _named(rows, "training") or tuple(map(int, run.get("trainings", ())))
    if not trained and run.get("training") is not None:
        trained = (int(run["training"]),)
    models = tuple(map(str, run["models"]))
    return Provenance(str(run["weights"]), trained, _named(rows, "suite"), models)


def together(some: Iterable[Provenance]) -> Provenance | None:
    """Of several results: each training, suite and model once; None of none.

    Two kinds of weights are both named.
    """
    each = [one for one in some if one.models]
    if not each:
        return None
    weights = dict.fromkeys(one.weights for one in each)
    return Provenance(
        " and ".join(weights),
        tuple(sorted({t for one in each for t in one.trainings})),
        tuple(sorted({s for one in each for s in one.suites})),
        tuple(dict.fromkeys(m for one in each for m in one.models)),
    )


def _named(rows: Sequence[Any], field: str) -> tuple[Any, ...]:
    """The values of a field that the rows have, each once, sorted."""
    return tuple(sorted({v for r in rows if (v := getattr(r, field, None)) is not None}))
