"""Entries: which of all stored results make the leaderboard, and how is the whole published?"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import count

from mahals.harness.leaderboard.mlflow_runs import write_runs
from mahals.harness.leaderboard.ranking import Board, boards, configuration_key, line_key
from mahals.harness.leaderboard.render import Origin
from mahals.harness.leaderboard.saved_view import EXPERIMENT, save_views
from mahals.harness.tracking.database import Store
from mahals.harness.tracking.runs import no_report
from mahals.harness.workspace.results import Results
from mahals.phase import STUDY
from mahals.phases.registry import PHASES
from mahals.schema import Entry, claim_of


@dataclass(frozen=True)
class Collected:
    """Each configuration of a training once, and where it was measured, by line key."""

    entries: tuple[Entry, ...]
    origins: Mapping[str, Origin]


def collect(results: Sequence[Results]) -> Collected:
    """The leaderboard entries of all `results`.

    A configuration that several results measured of one training counts once: canonical results
    win over other ones, a later phase over an earlier one, a gathered study over its units, the
    newer over the older. Weights of another precision than float32 are other weights: "hub 8bit",
    "hub bfloat16". Where trainings were compared, the lines are those of the first, each with the
    number of trainings in which it holds; those of the others are no lines of their own.
    """
    found: dict[str, tuple[Entry, Origin]] = {}
    ordered = sorted(results, key=_precedence)
    trainings = Trainings([item for item in ordered if _trainings_of(item)])
    for item in ordered:
        if _trainings_of(item) or trainings.is_further(item):
            continue
        origin = Origin(item.phase, item.unit, item.fingerprint, item.is_canonical)
        for entry in item.summary().entries:
            entry = _in_precision(entry, item)
            line = trainings.joined(entry, item, origin)
            found[line_key(entry)] = line
    keys = sorted(found)
    return Collected(tuple(found[k][0] for k in keys), {k: found[k][1] for k in keys})


def _in_precision(entry: Entry, item: Results) -> Entry:
    """The line with the precision of the weights that it was measured on, were they no float32.

    An unsteered model in 4 bits is no line to hold a steered one in float32 against.
    """
    device = item.run().get("device") or {}
    how = [device.get("quantize", "none"), device.get("dtype", "float32")]
    unlike = [each for each, plain in zip(how, ("none", "float32"), strict=True) if each != plain]
    if not unlike:
        return entry
    weights = f"{entry.configuration.weights} {unlike[0]}"
    return replace(entry, configuration=replace(entry.configuration, weights=weights))


class Trainings:
    """What stored results say of several trainings: which are further ones, what holds in how
    many."""

    def __init__(self, over: Sequence[Results]) -> None:
        """`over`: results over trainings; of two that say something of one line the later wins."""
        self._first: set[str] = set()  # fingerprints
        self._further: set[str] = set()
        self._held: dict[str, tuple[float, int]] = {}  # by what trainings share of a line: k, of R
        self._seed: int | None = None  # of the first training, where the study's own was compared
        for item in over:
            first, *further = _trainings_of(item).values()
            self._first.update(first)
            if item.is_canonical:
                self._seed = int(next(iter(_trainings_of(item))))
            self._further.update(mark for marks in further for mark in marks)
            for entry in item.summary().entries:
                held = entry.metrics["trainings_held"], 1 + len(further)
                self._held[configuration_key(entry.configuration)] = held
        self._further -= self._first

    def is_further(self, item: Results) -> bool:
        """Whether results, or all units of a gather, are of a training other than the first."""
        return _marks(item) <= self._further

    def joined(self, entry: Entry, item: Results, origin: Origin) -> tuple[Entry, Origin]:
        """The line, if it is of a first training with the trainings in which it holds.

        Where the first models alone were trained again, the study's own results of all models are
        others than those compared, of the same training.
        """
        held = self._held.get(configuration_key(claim_of(entry.configuration)))
        own = item.is_canonical and item.run().get("training") == self._seed is not None
        if held is None or not (own or _marks(item) <= self._first):
            return entry, origin
        metrics = {**entry.metrics, "trainings_held": held[0]}
        said = f"{held[0]:.0f} of {held[1]}"
        return replace(entry, metrics=metrics), replace(origin, trainings=said)


def _trainings_of(item: Results) -> Mapping[str, Sequence[str]]:
    """The fingerprints of each training that results compare, by seed; none for most."""
    found: Mapping[str, Sequence[str]] = item.run().get("trainings", {})
    return dict(sorted(found.items(), key=lambda pair: int(pair[0])))


def _marks(item: Results) -> set[str]:
    """The fingerprint of results; of a gather, those of its units."""
    run = item.run()
    return set(run["inputs"]["units"].values()) if run["gather"] else {item.fingerprint}


def _precedence(item: Results) -> tuple[bool, int, bool, str]:
    finished = str(item.run()["finished"])
    place = PHASES.index(item.phase) if item.phase in PHASES else len(PHASES)
    return item.is_canonical, place, item.unit == STUDY, finished


def publish_leaderboard(
    collected: Collected, store: Store, report: Callable[[int, int], None] = no_report
) -> tuple[Board, ...]:
    """Writes every board of `collected` to MLflow: its runs, its saved view, its first line.

    Gives the boards; none for no entries. What is there already and says the same is left alone.
    `report` is told how many lines of all boards are in MLflow, and of how many.
    """
    if not collected.entries:
        return ()
    made = boards(collected.entries)
    experiment = store.experiment(EXPERIMENT)
    total, done = sum(len(board.lines) for board in made), count()

    def line_done() -> None:
        report(next(done), total)

    line_done()
    for board in made:
        write_runs(board, collected.origins, store, experiment, line_done)
    save_views(made, store)
    return made
