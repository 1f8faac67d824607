"""Comparing: do two results of the same phase, or two studies, say the same numbers?

Without trainings to go by, two estimates agree if they differ by no more than the 95 % interval of
their difference, over prompts and draws. Where trainings were compared, the second is held against
the 95 % prediction interval of one training more.
"""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mahals.harness.workspace.numbers import Told, Trainings, read_told, read_trainings
from mahals.maths.stats.between import Between, Estimate, apart, between, beyond
from mahals.phase import STUDY
from mahals.records import InputError

REPLICATION = "results/replication/study"


@dataclass(frozen=True)
class Difference:
    """A number on which two results differ by more than chance."""

    name: str
    first: str
    second: str
    beyond: float  # in half widths of the interval it is held against


def compare(options: Namespace, keys: Mapping[str, Any]) -> int:
    """Prints on how many numbers two results differ by more than chance would have it."""
    first, second = read_told(options.first), read_told(options.second)
    pairs = list(_pairs(first, second))
    over = _replication(options.replication, pairs)
    lines: list[str] = []
    for one, other in pairs:
        _refuse_unlike(one, other)
        trainings = over.get(one.phase)
        if trainings is None:
            lines += by_intervals(one, other, options.top)
        else:
            lines += by_trainings(one, other, trainings, options.top)
    print("\n".join(lines))
    return 0


def by_intervals(one: Told, other: Told, top: int) -> list[str]:
    """How many differences lie outside the interval of the difference, and the largest `top`."""
    left, right = one.estimates, other.estimates
    shared = [name for name in left if name in right]
    wide = [name for name in shared if left[name].has_width and right[name].has_width]
    if not wide:
        return [f"{one.name}: none of {len(shared)} numbers has an interval in both"]
    found = [
        Difference(n, _text(left[n]), _text(right[n]), beyond(left[n], right[n]))
        for n in wide
        if apart(left[n], right[n])
    ]
    share = f"{len(found) / len(wide):.0%}; about 5 % if both are of one truth"
    rest = f"{len(shared) - len(wide)} have no interval in both; {_alone(left, right)}"
    head = (
        f"{one.name}: {len(found)} of {len(wide)} numbers differ by more than the 95 % interval of "
        f"the difference ({share}); {rest}"
    )
    return [head, *_table(found, top)]


def by_trainings(one: Told, other: Told, trainings: Trainings, top: int) -> list[str]:
    """How many numbers of `other` lie outside the prediction of one training more; `top` of them.

    Where `other` is one of the trainings, that one is left out of the predictions.
    """
    known = {name: values for name, values in _by_unit(one, trainings) if name in other.estimates}
    own = _training_of(other, known)
    count = len({seed for values in known.values() for seed in values if seed != own})
    seed = [] if own is None else [f"  the second is training {own}, which is left out"]
    if count < 2:
        few = f"  fewer than two trainings are left: {other.name} is held against the first alone"
        return [*by_intervals(one, other, top), *seed, few]
    left, right = one.estimates, other.estimates
    found: list[Difference] = []
    alike: list[bool] = []  # of numbers that are the same in all trainings: whether in B too
    compared = 0
    for name, values in known.items():
        rest = [value for seed, value in values.items() if seed != own]
        if len(rest) < 2:
            continue
        over = between(rest)
        if not over.varies:
            alike.append(between([over.mean, right[name].value]).varies)
            continue
        compared += 1
        if (far := over.beyond(right[name].value)) > 1:
            found.append(Difference(name, _prediction(over), _text(right[name]), far))
    share = f" ({len(found) / compared:.0%}; about 5 % expected)" if compared else ""
    head = (
        f"{one.name}: {len(found)} of {compared} numbers of the second lie outside the 95 % "
        f"prediction of {count} trainings{share}; {len(alike)} are the same in all trainings, "
        f"{sum(alike)} of these another in the second; {_alone(left, right)}"
    )
    return [head, *seed, *_table(found, top)]


def _prediction(over: Between) -> str:
    return f"{over.prediction():+.3g}"


def _text(e: Estimate) -> str:
    return f"{e.value:+.3g}" + (
        "" if e.low is None or e.high is None else f" [{e.low:+.3g}, {e.high:+.3g}]"
    )


def _alone(left: Iterable[str], right: Iterable[str]) -> str:
    one, other = set(left), set(right)
    return f"{len(one - other)} are in the first alone, {len(other - one)} in the second alone"


def _table(found: Sequence[Difference], top: int) -> list[str]:
    from mahals.cli.tables import table

    if not found:
        return []
    ordered = sorted(found, key=lambda each: (-each.beyond, each.name))
    rows = [(d.name, d.first, d.second, f"{d.beyond:.2g}") for d in ordered[:top]]
    more = [f"... and {len(found) - top} more"] if len(found) > top else []
    return [table(("number", "first", "second", "half widths"), rows), *more]


def _by_unit(one: Told, trainings: Trainings) -> Iterator[tuple[str, Mapping[int, float]]]:
    """The numbers of trainings under the names that the unit gives them: over several models the
    model stands before a name."""
    before = f"{one.unit}/" if one.unit != STUDY else ""
    under = any(name.startswith(before) for name in trainings)
    for name, values in trainings.items():
        if not under or name.startswith(before):
            yield name.removeprefix(before), values


def _training_of(other: Told, known: Trainings) -> int | None:
    """The training whose numbers are all those of `other`; None if none is."""
    right = other.estimates
    seeds = sorted({seed for values in known.values() for seed in values})
    for seed in seeds:
        own = {name: values[seed] for name, values in known.items() if seed in values}
        if own and all(right[name].value == value for name, value in own.items()):
            return seed
    return None


def _refuse_unlike(one: Told, other: Told) -> None:
    """Raises InputError for results of two suites or two kinds of weights."""
    for what, left, right in (
        ("suite", " and ".join(sorted(one.suites)), " and ".join(sorted(other.suites))),
        ("weights", one.weights or "", other.weights or ""),
    ):
        if left and right and left != right:
            raise InputError(
                f"{what} of {one.name}",
                expected=f"the same in both: {left}",
                got=right,
                cure="compare results measured alike",
            )


def _pairs(first: Sequence[Told], second: Sequence[Told]) -> Iterator[tuple[Told, Told]]:
    """What both hold. Raises InputError when that is nothing."""
    there = {told.name: told for told in second}
    shared = [told for told in first if told.name in there]
    if not shared:
        raise InputError(
            "results to compare",
            expected="some of the same phase and unit: " + ", ".join(t.name for t in first),
            got=", ".join(there),
            cure="name two results of one phase and unit, or two projects",
        )
    return ((told, there[told.name]) for told in shared)


def _replication(named: str | None, pairs: Sequence[tuple[Told, Told]]) -> dict[str, Trainings]:
    """By phase, the numbers of each training: of the results named, or of those of the project
    that the first is in. Raises InputError where named ones say nothing of a phase."""
    place = Path(named) if named else _beside(pairs[0][0].folder)
    if place is None or (named is None and not (place / "rows.jsonl").is_file()):
        return {}
    over = read_trainings(place)
    lacking = [one.phase for one, _ in pairs if one.phase not in over]
    if named and lacking:
        raise InputError(
            f"replication {named}",
            expected=f"trainings of {', '.join(lacking)}",
            got=", ".join(over) or "none",
            cure="mahals run replication --phases '[...]'",
        )
    return over


def _beside(folder: Path) -> Path | None:
    """The project's own replication, if the folder is in a project."""
    for parent in folder.resolve().parents:
        if (parent / "params.yaml").is_file():
            return parent / REPLICATION
    return None
