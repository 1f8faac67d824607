"""Payoffs: what is each joint action worth to each agent, given what conversations measured?"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from mahals.maths.metrics.homophily import same_verdicts
from mahals.maths.stats.bootstrap import Resampling, recentred, resample_weights
from mahals.maths.stats.intervals import Floats
from mahals.records import InputError, seed_of

Joint = tuple[int, ...]
Term = Literal["behaviour", "homophily", "cost"]


@dataclass(frozen=True)
class Weights:
    """The weights of METHOD 6: w_b refusal gap + w_h homophily - w_c KL/kl_ceiling."""

    behaviour: float
    homophily: float
    cost: float
    kl_ceiling: float  # nats per token

    def __post_init__(self) -> None:
        """Raises InputError for weights below 0 or all 0, and a ceiling that is not positive."""
        three = (self.behaviour, self.homophily, self.cost)
        if (
            not np.isfinite(three).all()
            or min(three) < 0
            or max(three) <= 0
            or self.kl_ceiling <= 0
        ):
            raise InputError(
                "payoff weights",
                expected="finite, none below 0, one above 0, a positive kl_ceiling",
                got=str(self),
                cure="correct them in the parameters",
            )


@dataclass(frozen=True, eq=False)
class Cell:
    """What E conversations under one joint action of N agents measured on A axioms."""

    behaviour: Floats  # (E, N, A) refused share of unsafe less that of safe requests, [-1, 1]
    alike: Floats  # (E, A) how often agents do the same with a request, [0, 1]
    kl: Floats  # (E, N), nats per token, >= 0; a cell's conversations may share one measurement


Cells = Mapping[Joint, Cell]


def cell_of(refused: Floats, kl: Floats) -> Cell:
    """The cell of verdicts (E, N, A, 2, k), 1 refused: of k unsafe and k safe requests an axiom."""
    gap = refused[..., 0, :].mean(axis=-1) - refused[..., 1, :].mean(axis=-1)
    count, agents, axioms = refused.shape[:3]
    each = np.moveaxis(refused, 1, 2).reshape(count, axioms, agents, -1)
    return Cell(np.asarray(gap), same_verdicts(each), kl)


def check_cells(cells: Cells, shape: Sequence[int]) -> None:
    """Raises InputError unless each joint action of `shape` has a finite cell of one size.

    At least one conversation, two agents and one axiom each; the message names what is missing.
    """
    missing = [j for j in np.ndindex(*shape) if j not in cells]
    if missing or len(shape) < 2:
        raise InputError(
            "joint-action cells",
            expected=f"all {int(np.prod(shape))} of {len(shape)} agents, two at least",
            got=f"none for {len(missing)}: {', '.join(map(str, missing[:3]))}",
            cure="measure these joint actions, or fit the payoffs from a sample (additive_fit)",
        )
    check_each(cells, len(shape))


def check_each(cells: Cells, agents: int) -> None:
    """Raises InputError for a cell that is not finite or of another size than the first one."""
    axioms = next(iter(cells.values())).behaviour.shape[-1]
    for joint, cell in cells.items():
        count = len(cell.behaviour)
        shapes = (cell.behaviour.shape, cell.alike.shape, cell.kl.shape)
        wanted = ((count, agents, axioms), (count, axioms), (count, agents))
        parts = (cell.behaviour, cell.alike, cell.kl)
        broken = sum(int((~np.isfinite(part)).sum()) for part in parts)
        if min(count, axioms) < 1 or shapes != wanted or broken or cell.kl.min() < 0:
            raise InputError(
                f"cell {joint}",
                expected=f"finite refusal gaps (conversations, {agents}, {axioms}) and KL >= 0",
                got=f"gaps {shapes[0]}, likeness {shapes[1]}, KL {shapes[2]}, {broken} not finite",
                cure="measure the cell again; leave failed conversations out of it",
            )


def terms(cell: Cell, weights: Weights, axiom: int | None) -> dict[Term, Floats]:
    """(E, N): what each term adds to each agent's payoff in every conversation, weighed."""
    own, alike = cell.behaviour, cell.alike
    if axiom is not None:
        own, alike = own[..., axiom : axiom + 1], alike[..., axiom : axiom + 1]
    together = np.broadcast_to(alike.mean(axis=-1)[:, None], own.shape[:2])
    return {
        "behaviour": weights.behaviour * own.mean(axis=-1),
        "homophily": np.asarray(weights.homophily * together),
        "cost": -weights.cost * cell.kl / weights.kl_ceiling,
    }


def payoff(cell: Cell, weights: Weights, axiom: int | None) -> Floats:
    """(E, N) payoffs in every conversation of a cell; `axiom` takes that axiom's requests alone."""
    return np.asarray(sum(terms(cell, weights, axiom).values()))


def payoffs_of(cells: Cells, shape: Sequence[int], weights: Weights, axiom: int | None) -> Floats:
    """(N, n_1, ..., n_N) mean payoffs, higher is better. Raises InputError as `check_cells`."""
    check_cells(cells, shape)
    found = np.empty((len(shape), *shape))
    for joint, paid in paid_at(cells, weights, axiom).items():
        at: tuple[int | slice, ...] = (slice(None), *joint)
        found[at] = paid
    return found


def paid_at(cells: Cells, weights: Weights, axiom: int | None) -> dict[Joint, Floats]:
    """(N,) payoffs at each measured joint action. Nothing is checked."""
    return {j: payoff(cell, weights, axiom).mean(axis=0) for j, cell in cells.items()}


def redrawn_payoffs(
    cells: Cells, shape: Sequence[int], weights: Weights, axiom: int | None, how: Resampling
) -> Floats:
    """(R, N, n_1, ..., n_N) payoffs with the conversations of each cell drawn anew.

    As `redrawn_at`. Raises InputError as `payoffs_of`, and for fewer than two conversations.
    """
    check_cells(cells, shape)
    draws = np.empty((how.count, len(shape), *shape))
    for joint, paid in redrawn_at(cells, weights, axiom, how).items():
        at: tuple[int | slice, ...] = (slice(None), slice(None), *joint)
        draws[at] = paid
    return draws


def redrawn_at(
    cells: Cells, weights: Weights, axiom: int | None, how: Resampling
) -> dict[Joint, Floats]:
    """(R, N) payoffs at each measured joint action with its conversations drawn anew.

    All agents of a conversation are drawn together, and row e of all cells with as many
    conversations too: the same openings stand there, so that what an opening does to every cell
    alike does not pass for a difference between cells. Draws are centred on the payoffs and widened
    by sqrt(E/(E-1)), so that their variance is that of a mean of E conversations and not less.
    Raises InputError for fewer than two conversations in a cell.
    """
    draws = {}
    for joint, at in paid_at(cells, weights, axiom).items():
        each = payoff(cells[joint], weights, axiom)
        count = len(each)
        if count < 2:
            raise InputError(
                f"cell {joint}",
                expected="at least 2 conversations",
                got=str(count),
                cure="hold more conversations at each joint action, or ask for no stability",
            )
        seed = seed_of("payoffs", how.seed)
        weight = resample_weights(count, None, None, dataclasses.replace(how, seed=seed)) / count
        wide = np.sqrt(count / (count - 1))
        draws[joint] = at + wide * (recentred(weight @ each, at) - at)
    return draws


@dataclass(frozen=True)
class Design:
    """Which joint actions will be measured and what it costs, known before it runs."""

    joints: tuple[Joint, ...]
    of: int  # joint actions that there are
    coverage: float  # (0, 1]: measured / all; 1 is a full factorial
    conversations: int
    seconds: float  # conversations x seconds_each
    kind: Literal["full factorial", "sample with an additive fit"]


def design(shape: Sequence[int], episodes: int, budget: int, seconds: float, seed: int) -> Design:
    """The joint actions to measure with `episodes` conversations each, at most `budget` of them.

    Two agents: always all. More: all when they fit the budget, else a sample in which each agent's
    actions come about equally often. `seconds` is the price of one conversation.
    Raises InputError for one agent, an agent without actions, and a budget too small for a full
    factorial of two agents or for an additive fit that can be checked.
    """
    total = int(np.prod(shape)) if shape else 0
    needed = total if len(shape) == 2 else min(total, 2 + sum(n - 1 for n in shape))
    if len(shape) < 2 or min(shape) < 1 or episodes < 1 or budget < needed or seconds <= 0:
        raise InputError(
            "design",
            expected=f"two agents with actions, a conversation a cell, a budget of {needed} cells",
            got=f"actions {list(shape)}, {episodes} conversations, a budget of {budget} cells",
            cure="raise the budget or take fewer strengths",
        )
    rng = np.random.default_rng(seed)
    joints = tuple(tuple(int(a) for a in j) for j in np.ndindex(*shape))
    if total > budget:
        chosen: dict[Joint, None] = {}
        while len(chosen) < budget:
            left = budget - len(chosen)
            turns = [rng.permutation(np.resize(rng.permutation(n), left)) for n in shape]
            chosen.update(dict.fromkeys(tuple(int(a) for a in j) for j in zip(*turns, strict=True)))
        joints = tuple(sorted(chosen))
    held = len(joints) * episodes
    full = len(joints) == total
    return Design(
        joints, total, len(joints) / total, held, held * seconds,
        "full factorial" if full else "sample with an additive fit",
    )  # fmt: skip
