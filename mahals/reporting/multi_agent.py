"""Agent society: how alike are a study's models, and who is the weakest where?

The models are agents that serve the same prompts, each steered by its own vector at the headline
dose, each by a null direction, or none at all. Behaviour stands first: what they refuse. AQI is in
the headline readout, and where a level reaches its floor there is nothing to measure.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations

import numpy as np
import numpy.typing as npt

from mahals.maths.metrics.aqi import at_floor
from mahals.maths.metrics.homophily import HomophilyIntervals, homophily_intervals
from mahals.maths.stats.agreement import kappa
from mahals.maths.stats.bootstrap import Resampling, percentile_interval, resample_weights
from mahals.maths.stats.intervals import Floats, Interval
from mahals.reporting.axiom_parts import part
from mahals.reporting.evidence import A, ArmEvidence, ArmTable
from mahals.schema import NULLS, ArmRow, NullFamily

LEAST = 2  # agents
RESAMPLES = 1000
STATES = ("unsteered", "steered", "flipped", "aligned", "prompt")
NOTHING = "nothing to measure here"


@dataclass(frozen=True)
class Society:
    """The same arm of every target, measured on the same prompts."""

    name: str
    agents: tuple[ArmEvidence, ...]

    @property
    def categories(self) -> tuple[str, ...]:
        """What the agents' prompts are about, sorted: the C categories."""
        return self.agents[0].row.categories

    @property
    def aqi(self) -> npt.NDArray[np.float64]:
        """(K, C) points of each agent on each category."""
        return np.array([a.row.aqi_axioms for a in self.agents])

    @property
    def floored(self) -> npt.NDArray[np.bool_]:
        """(K, C): whether the interval of each level of AQI reaches its floor."""
        places = range(len(self.categories))
        return np.array([[self._at_floor(a, j) for j in places] for a in self.agents])

    def _at_floor(self, agent: ArmEvidence, axiom: int) -> bool:
        return at_floor(part(agent, [axiom]).interval, int((agent.axioms == axiom).sum()))

    @property
    def floor_prompts(self) -> int:
        """The prompts of one category, of which the floor is: of the smallest."""
        return int(np.bincount(self.agents[0].axioms).min())

    @property
    def refusals(self) -> Floats:
        """(K, C) share of each category's unsafe prompts that an agent refuses; nan where none."""
        first, found = self.agents[0], np.full((len(self.agents), len(self.categories)), np.nan)
        for j in range(len(self.categories)):
            asked = ~first.safe & (first.answered_axioms == j)
            if asked.any():
                found[:, j] = [a.refused[asked].mean() for a in self.agents]
        return found


@dataclass(frozen=True)
class Societies:
    """A study's agents before and after steering, with the null arms."""

    targets: tuple[str, ...]
    states: Mapping[str, Society]  # by name; only those that every target has
    nulls: Mapping[NullFamily, tuple[Society, ...]]  # by family, draw by draw


def societies(table: ArmTable[A]) -> Societies | None:
    """Every target's arms at the headline dose, of the first operator and placement that all have.

    None for fewer than two targets. Raises ValueError where targets answered different prompts.
    """
    targets = tuple(table.values_of("target"))
    if len(targets) < LEAST:
        return None
    by_name: dict[str, dict[str, ArmRow]] = {}
    for row in _headline(table, set(targets)):
        name = f"{row.arm} {row.draw}" if row.arm in NULLS else row.arm
        by_name.setdefault(name, {})[row.target] = row
    agents = gathered(targets, by_name, table)
    ordered = {name: agents.states[name] for name in STATES if name in agents.states}
    return replace(agents, states=ordered)


def gathered(
    targets: tuple[str, ...], by_name: Mapping[str, Mapping[str, ArmRow]], table: ArmTable[A]
) -> Societies:
    """The societies of rows that are given by name and target; only those that every target has.

    `<family> <draw>` is the name of a null one. Raises ValueError where targets answered different
    prompts.
    """
    everyone = {n: rows for n, rows in by_name.items() if set(rows) == set(targets)}
    whole = {
        n: Society(n, tuple(table.arms([rows[t] for t in targets]))) for n, rows in everyone.items()
    }
    _check([a for s in whole.values() for a in s.agents])
    nulls = {f: tuple(s for n, s in whole.items() if n.startswith(f"{f} ")) for f in NULLS}
    null = {name for some in nulls.values() for name in (s.name for s in some)}
    states = {n: s for n, s in whole.items() if n not in null}
    return Societies(targets, states, {f: some for f, some in nulls.items() if some})


def _headline(table: ArmTable[A], targets: set[str]) -> list[A]:
    """The references, and the headline dose of the first variant that every target has."""
    dosed = [r for r in table.where(dose_kind="kl", at_headline=True) if r.arm in (*STATES, *NULLS)]
    references = table.where(dose_kind=None)
    for variant in dict.fromkeys((r.operator, r.placement) for r in dosed if r.arm == "steered"):
        some = [r for r in dosed if (r.operator, r.placement) == variant]
        if {r.target for r in some if r.arm == "steered"} == targets:
            return references + some
    return references


def _check(agents: Sequence[ArmEvidence]) -> None:
    for a in agents[1:]:
        first = agents[0]
        same = np.array_equal(a.answered_axioms, first.answered_axioms)
        same = same and np.array_equal(a.axioms, first.axioms)
        same = same and a.row.categories == first.row.categories
        if not (same and a.gap_clusters == first.gap_clusters):
            raise ValueError(f"{a.row.target} and {first.row.target} answered different prompts")


def likeness(society: Society, seed: int) -> HomophilyIntervals:
    """Homophily and the weakest link per axiom with intervals, from draws of the influence values.

    All agents share the resampled prompts; a draw of an axiom's aqi is its estimate plus the
    resampled mean influence of its prompts.
    """
    first = society.agents[0]
    weights = resample_weights(len(first.axioms), first.clusters, None, Resampling(RESAMPLES, seed))
    draws = np.empty((RESAMPLES, len(society.agents), len(society.categories)))
    for k, agent in enumerate(society.agents):
        for j in range(len(society.categories)):
            found = part(agent, [j])
            own = weights[:, agent.axioms == j] - 1.0
            draws[:, k, j] = found.estimate + own @ found.influence / len(found.influence)
    return homophily_intervals(society.aqi, draws)


@dataclass(frozen=True)
class PairKappa:
    """Mean pairwise Cohen's kappa of refusals; 1 is full agreement."""

    mean: float | None  # over the pairs where it is defined
    interval: Interval | None  # of the mean, bootstrap; None where no pair has a kappa
    defined: int
    pairs: int
    least: str  # the pair that agrees least with its interval; "" without any


def refusal_kappa(society: Society) -> PairKappa:
    """Behavioural homophily: which agents refuse the same prompts, beyond their rates."""
    found = {}
    for a, b in combinations(society.agents, 2):
        one = kappa(a.refused.astype(int), b.refused.astype(int), a.gap_clusters)
        if one.kappa is not None:
            spread = one.interval
            text = "no interval" if spread is None else f"[{spread.low:+.2f}, {spread.high:+.2f}]"
            found[f"{a.row.target} and {b.row.target} {one.kappa:+.2f} {text}"] = one.kappa
    pairs = len(society.agents) * (len(society.agents) - 1) // 2
    if not found:
        return PairKappa(None, None, 0, pairs, "")
    least = min(found, key=lambda k: found[k])
    mean = float(np.mean(list(found.values())))
    return PairKappa(mean, _of_mean(society, mean), len(found), pairs, least)


def _of_mean(society: Society, mean: float) -> Interval | None:
    """Bootstrap interval of the mean kappa, all agents on the same resampled prompts.

    A draw's mean is over the pairs whose kappa is defined in it, as the estimate's is.
    """
    first = society.agents[0]
    how = Resampling(RESAMPLES, 0)
    weights = resample_weights(len(first.refused), first.gap_clusters, None, how)
    share = weights / weights.sum(axis=1, keepdims=True)
    draws = []
    for a, b in combinations(society.agents, 2):
        one, two = share @ a.refused, share @ b.refused
        chance = one * two + (1 - one) * (1 - two)
        agreed = share @ (a.refused == b.refused)
        known = np.minimum(one * (1 - one), two * (1 - two)) > 1e-9  # both vary
        draws.append(np.where(known, (agreed - chance) / np.where(known, 1 - chance, 1), np.nan))
    table = np.stack(draws, axis=1)
    table = table[~np.isnan(table).all(axis=1)]
    return percentile_interval(np.nanmean(table, axis=1), mean) if len(table) > 1 else None
