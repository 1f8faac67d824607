"""Held sets: what do trials with detectors held show beyond trials with random sets held?"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from mahals.maths.metrics.resistance import NONE, SHARES, VALUES, ResistanceTrial, difference
from mahals.maths.stats.controls import GainOverRandom, share_over_random
from mahals.phase import Kept, Summary
from mahals.reporting import resistance
from mahals.reporting.evidence import Evidence, Part
from mahals.reporting.published_resistance import beside_published
from mahals.reporting.report import Report, interval_metrics, joined

DETECTORS, RECALIBRATED = "detectors", "recalibrated"
WEAKER = (
    "with the detectors held first attempts score higher before anything is noticed: fewer "
    "restarts may mean weaker steering; read the arm at the boost recalibrated under the ablation"
)
KINDS = {"uniform": "equal size", "frequency": "equal frequency", "kl": "equal KL"}  # of sets
ONE_SET = "one set has no spread: a plain difference, raise sets.draws for an interval"
UNVARIED = "no interval where none stands: too few directions or prompts, or nothing varies"
RATES = ("first_score", "multi_attempt_rate", "esr_rate")


@dataclass(frozen=True)
class HeldArms:
    """The trials of one subject in one situation, by what is held."""

    key: tuple[str, ...]  # what of model, subject and situation varies
    arms: Mapping[str, resistance.Group]  # none, detectors, uniform-0 ...
    kls: Mapping[str, float]  # of each set, nats a token

    def sets(self, kind: str) -> list[str]:
        """The arms of the random sets of a kind."""
        return [name for name in self.arms if name.startswith(f"{kind}-")]


def by_kind(rows: Iterable[ResistanceTrial]) -> list[ResistanceTrial]:
    """The trials by situation, those of all random sets of a kind together."""
    names = ((t, t.ablated.partition("-")[0]) for t in rows)
    found = [replace(t, ablated=KINDS.get(name, name)) for t, name in names]
    return sorted(found, key=lambda t: t.situation)


def held_arms(table: Evidence[ResistanceTrial]) -> list[HeldArms]:
    """The trials that were made, by model, subject and situation."""
    made, found = [t for t in table.rows if t.why is None], []
    for own in resistance.groups(made, ("model", "subject", "situation")):
        one = own.trials[0]
        told = json.loads(table.path(f"{one.model}/sets-{one.subject}.json").read_text("utf-8"))
        arms = {g.trials[0].ablated: g for g in resistance.groups(own.trials, ("ablated",))}
        found.append(
            HeldArms(own.key, arms, {s["name"]: s["kl"] for s in told if s["kl"] is not None})
        )
    return found


@dataclass(frozen=True)
class SharedTrials:
    """One rate on the trials that the detectors' arm and all sets of a kind have."""

    values: npt.NDArray[np.float64]  # (1 + sets, trials), the detectors' first
    clusters: list[str]  # of each trial: its direction, or its prompt where there is one

    @property
    def difference(self) -> float | None:
        """The detectors' mean less that of the sets; None without such a trial."""
        return float(self.values[0].mean() - self.values[1:].mean()) if self.clusters else None


def shared_trials(own: HeldArms, kind: str, name: str) -> SharedTrials:
    """What each arm has of a rate, where both the detectors and a set were held."""
    arms = [own.arms[n].trials for n in (DETECTORS, *own.sets(kind))]
    values = [{(t.direction, t.prompt, t.seed): VALUES[name](t) for t in some} for some in arms]
    shared = [k for k in values[0] if all(arm.get(k) is not None for arm in values)]
    several = len({direction for direction, _, _ in shared}) > 1
    clusters = [direction if several else prompt for direction, prompt, _ in shared]
    table = np.array([[arm[k] for k in shared] for arm in values], dtype=np.float64)
    return SharedTrials(table, clusters)


def beyond_random(own: HeldArms, kind: str, name: str) -> GainOverRandom | None:
    """A rate with the detectors held less its mean over random sets, on trials that all have.

    `p_random` is (1 + sets whose rate is as low) / (1 + sets). None for fewer than two sets,
    directions or prompts, and where nothing varies.
    """
    if DETECTORS not in own.arms or len(own.sets(kind)) < 2:
        return None
    shared = shared_trials(own, kind, name)
    clusters = shared.clusters
    if len(set(clusters)) < 2:
        return None
    one, *others = shared.values
    if name in SHARES:
        found = share_over_random(one, np.stack(others), clusters)
    else:
        found = Part.mean(one, clusters).over_random([Part.mean(x, clusters) for x in others])
    as_low = sum(float(x.mean()) <= float(one.mean()) for x in others)
    return found and replace(found, p_random=(1 + as_low) / (1 + len(others)))


def held_summary(rows: Sequence[ResistanceTrial], kept: Kept, phase: str) -> Summary:
    """The rates of each arm, what holding the detectors changes, and what was published of it.

    Metrics `<model, subject and situation that vary>/<arm>/<rate>` and `.../beyond_<kind>/<rate>`.
    """
    table, kinds = Evidence(rows, kept), Evidence(by_kind(rows), kept)
    told = resistance.resistance_report(kinds, ("subject", "situation", "ablated"))
    report = joined([told, *(_changes(own) for own in held_arms(table))])
    lines = (*report.lines, *resistance.example_lines(table))
    return beside_published(Summary(report.metrics, lines, (), ()), phase)


def _changes(own: HeldArms) -> Report:
    """The detectors less nothing, at the same boost and at their own, and beyond random sets."""
    if DETECTORS not in own.arms:
        return Report({}, [])
    where, none = ", ".join(own.key) or "all", own.arms[NONE]
    known = [own.arms[arm] for arm in (DETECTORS, RECALIBRATED) if arm in own.arms]
    changes = [resistance.change_line(arm, none, RATES) for arm in known]
    lines = [f"{where}, paired: {change}" for change in changes if change]
    easier = difference(known[0].trials, none.trials, "first_score")
    if easier is not None and easier.low > 0 and none.trials[0].situation == "free":
        lines.append(f"{where}: {WEAKER}")
    parts = [_beyond(own, kind) for kind in KINDS if own.sets(kind)]
    return joined([Report({}, lines), *parts]).under("/".join((*own.key, "")))


def _beyond(own: HeldArms, kind: str) -> Report:
    """Each rate with the detectors held, less its mean over random sets of a kind.

    A rate without an interval over sets has its plain difference, and the line says why.
    """
    sets, metrics, plain = own.sets(kind), dict[str, float](), False
    line = f"{', '.join((*own.key, DETECTORS))} beyond {_sets(own, kind)}"
    for name in RATES:
        short, digits = resistance.SHORT[name], 0 if name in resistance.POINTS else 2
        if (found := beyond_random(own, kind, name)) is not None:
            as_low = round(found.p_random * (1 + found.n_random)) - 1
            line += f"; {short} {found.interval:+.{digits}f}, {as_low} of {found.n_random} sets "
            line += f"as low, p = {found.p_random:.2f}"
            metrics |= interval_metrics(f"beyond_{kind}/{name}", found.interval)
            metrics[f"beyond_{kind}/{name}_p_random"] = found.p_random
        elif (less := shared_trials(own, kind, name).difference) is not None:
            line, plain = f"{line}; {short} {less:+.{digits}f}", True
    why = ONE_SET if len(sets) == 1 else UNVARIED
    return Report(metrics, [f"{line} ({why})" if plain else line])


def _sets(own: HeldArms, kind: str) -> str:
    """How many random sets of a kind there are, and how far they and the detectors move."""
    sets = own.sets(kind)
    kls = [own.kls[name] for name in sets if name in own.kls]
    words = f"{len(sets)} random set{'s' if len(sets) > 1 else ''} of {KINDS[kind]}"
    if not kls or DETECTORS not in own.kls:
        return words
    several = f"theirs {min(kls):.3f} to {max(kls):.3f}"
    theirs = several if len(kls) > 1 else f"its {kls[0]:.3f}"
    return f"{words} (KL {own.kls[DETECTORS]:.3f} nats a token, {theirs})"
