"""Equilibrium solvers: which mixed equilibria does a game have, and which solver could not say?"""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

import numpy as np

from mahals.maths.games import solver_process as worker
from mahals.maths.games.game import TOLERANCE, Game, Profile, regret, supports, unit_payoffs
from mahals.maths.games.solver_process import ANSWER, Found
from mahals.maths.games.support_enumeration import on_supports, small_support_equilibria
from mahals.maths.stats.intervals import Floats
from mahals.records import InputError

Status = Literal["ran", "absent", "timed_out", "died"]
SAME = 1e-5  # profiles that differ less in every probability are one


@dataclass(frozen=True)
class Search:
    """How mixed equilibria are looked for."""

    seconds: float  # time limit of one process; it answers all solvers of a game
    starts: int  # from how many profiles QuantEcon's solver starts, where it is asked
    seed: int
    gambit: bool  # also ask pygambit (GPL, not installed by any extra)


@dataclass(frozen=True)
class SolverRow:
    """What one solver did: a solver that hangs, dies or is missing says so here."""

    solver: str
    status: Status
    found: int | None  # profiles it gave
    kept: int | None  # of them equilibria after polishing: exploitability <= 1e-6
    reason: str | None  # why there are none, or why there may be more


@dataclass(frozen=True)
class Mixed:
    """The mixed equilibria found."""

    profiles: tuple[Profile, ...]  # at least one player mixes; each exploitability <= 1e-6
    solvers: tuple[SolverRow, ...]
    complete: bool  # nothing is missing: more than two players, of two actions, not degenerate


def mixed_equilibria(game: Game, how: Search) -> Mixed:
    """Mixed equilibria: of two players by nashpy, of more by supports of one or two actions each.

    Two players: support and vertex enumeration together, which find all of a nondegenerate game
    and extreme ones of a degenerate game. More players: `small_support_equilibria`, all there are
    where each has two actions. Where these may not be all, QuantEcon is asked too: it adds as many
    as its starts lead to, never a proof that there are no others. Libraries answer in a process of
    their own. Each profile is polished on its support and dropped unless its exploitability is
    <= 1e-6. Raises InputError for a time limit or starts that are not positive.
    """
    if how.seconds <= 0 or how.starts < 1:
        raise InputError(
            "search",
            expected="a positive time limit and at least one start",
            got=f"{how.seconds} s, {how.starts} starts",
            cure="correct them in the parameters",
        )
    payoffs, kept, rows, complete = unit_payoffs(game), list[Profile](), list[SolverRow](), False
    if len(game.players) == 2:
        names = ["nashpy.support_enumeration", "nashpy.vertex_enumeration"]
    else:
        small = small_support_equilibria(payoffs)
        kept, complete = list(small.profiles), small.complete
        rows.append(SolverRow("support_enumeration", "ran", len(kept), len(kept), small.reason))
        names = [] if complete else ["quantecon.mclennan_tourky"]
    names += ["pygambit.logit_solve"] if how.gambit else []
    for answer in ask(names, payoffs, how):
        good = [p for g in answer.found if (p := _polished(payoffs, g)) is not None]
        ran = answer.status == "ran"
        found, fine = (len(answer.found), len(good)) if ran else (None, None)
        rows.append(SolverRow(answer.solver, answer.status, found, fine, answer.reason))
        kept = distinct([*kept, *good])
    mixing = [p for p in kept if any(len(own) > 1 for own in supports(p))]
    return Mixed(tuple(mixing), tuple(rows), complete)


def distinct(profiles: list[Profile]) -> list[Profile]:
    """The profiles without repetitions, in order of first appearance."""
    kept: list[Profile] = []
    for profile in profiles:
        flat = np.concatenate(profile)
        if all(np.abs(flat - np.concatenate(k)).max() > SAME for k in kept):
            kept.append(profile)
    return kept


def _polished(payoffs: Floats, given: list[list[float]]) -> Profile | None:
    """The equilibrium that a solver meant: as given if exact, else solved on its support."""
    profile = tuple(np.asarray(x, dtype=np.float64) for x in given)
    if not all(np.isfinite(x).all() and x.sum() > 0 for x in profile):
        return None
    clean = tuple(np.where(x < 1e-9, 0.0, x) / np.where(x < 1e-9, 0.0, x).sum() for x in profile)
    if regret(payoffs, clean) <= TOLERANCE * 1e-3:
        return clean
    for above in (1e-6, 1e-4, 1e-3, 1e-2, 5e-2):
        used = supports(clean, above)
        found = on_supports(payoffs, used, clean)
        if found is not None:
            return found
    return clean if regret(payoffs, clean) <= TOLERANCE else None


@dataclass(frozen=True)
class Answer:
    """What one solver said, before anything is checked."""

    solver: str
    status: Status
    found: Found
    reason: str | None


def ask(names: Sequence[str], payoffs: Floats, how: Search) -> list[Answer]:
    """The answers of solvers, in the order of `names`, from a process that may hang or die.

    One process answers all that are installed. When it hangs or dies, the solver at work is
    blamed and those after it are asked in a new process.
    """
    said: dict[str, Answer] = {}
    for name in names:
        library = name.split(".")[0]
        if not installed(library):
            cure = "it is optional" if library == "pygambit" else "the extra `games` brings it"
            said[name] = Answer(name, "absent", [], f"{library} is not installed; {cure}")
    while waiting := [name for name in names if name not in said]:
        lines, status, reason = _process(waiting, payoffs, how)
        for name, line in zip(waiting, lines, strict=False):
            found: Found = json.loads(line)
            said[name] = Answer(name, "ran", found, None if found else "it found no equilibrium")
        if len(lines) < len(waiting):
            blamed = waiting[len(lines)]
            said[blamed] = Answer(blamed, status, [], reason)
    return [said[name] for name in names]


def installed(library: str) -> bool:
    """Whether a solver's library can be imported."""
    return importlib.util.find_spec(library) is not None


def _process(names: Sequence[str], payoffs: Floats, how: Search) -> tuple[list[str], Status, str]:
    """The whole lines of answers that a process wrote, and what to say of the one it did not."""
    task = {
        "solvers": list(names), "payoffs": payoffs.tolist(), "starts": how.starts, "seed": how.seed
    }  # fmt: skip
    path = os.pathsep.join(p for p in sys.path if p)
    return _asked(json.dumps(task), how.seconds, path)


@lru_cache(maxsize=256)
def _asked(task: str, seconds: float, path: str) -> tuple[list[str], Status, str]:
    """The same question is asked once: numbers and figures of a game need the same answer."""
    try:
        done = subprocess.run(
            [sys.executable, "-P", worker.__file__],  # -P: the folder of the script is no library
            input=task.encode(),
            capture_output=True,
            timeout=seconds,
            env={**os.environ, "PYTHONPATH": path},
            check=False,
        )
    except subprocess.TimeoutExpired as late:
        return _answers(late.stdout or b""), "timed_out", f"no answer in {seconds:g} s"
    last = (done.stderr.decode(errors="replace").strip().splitlines() or ["no message"])[-1]
    return _answers(done.stdout), "died", f"exit {done.returncode}: {last[:200]}"


def _answers(written: bytes) -> list[str]:
    """The finished lines of answers; what a library itself printed is not among them."""
    lines = written.decode(errors="replace").split("\n")[:-1]
    return [line.removeprefix(ANSWER) for line in lines if line.startswith(ANSWER)]
