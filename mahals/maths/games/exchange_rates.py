"""Exchange rates: at which price of being moved does the answer of a game turn?

A payoff falls in a straight line with the weight of its cost, so each joint action is a pure
equilibrium for one interval of that weight, known exactly from the payoffs without cost.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from mahals.maths.games.additive_fit import game_draws, game_payoffs
from mahals.maths.games.game import TIE
from mahals.maths.games.payoffs import Cells, Joint, Weights
from mahals.maths.stats.bootstrap import Resampling
from mahals.maths.stats.intervals import Floats
from mahals.records import InputError

ROUNDING = 1e-9  # a stretch of rates below this share of the sweep is none


@dataclass(frozen=True, eq=False)
class CostRanges:
    """From which weight of cost to which each joint action is a pure equilibrium."""

    joints: tuple[Joint, ...]
    low: Floats  # (..., J); infinite where it never is one
    high: Floats  # (..., J); minus infinite where it never is one, infinite where for ever


def cost_ranges(worth: Floats, cost: Floats) -> CostRanges:
    """Of payoffs without cost `worth` (..., N, n_1..n_N), and `cost` (N, n_1..n_N) a unit of it.

    The leading axes are redraws of one game.
    """
    agents, shape = len(cost), cost.shape[1:]
    joints = tuple(tuple(int(a) for a in j) for j in np.ndindex(*shape))
    lead = worth.shape[: worth.ndim - cost.ndim]
    low, high = np.zeros((*lead, len(joints))), np.full((*lead, len(joints)), np.inf)
    for place, joint in enumerate(joints):
        for i in range(agents):
            at: list[int | slice] = list(joint)
            at[i] = slice(None)
            own = worth[(..., i, *at)]
            gain = own[..., [joint[i]]] - own  # of staying
            dearer = cost[(i, *joint)] - cost[(i, *at)]
            for other in range(shape[i]):
                if other != joint[i]:
                    _bound(low[..., place], high[..., place], gain[..., other], dearer[other])
    never = low > high
    low[never], high[never] = np.inf, -np.inf
    return CostRanges(joints, low, high)


def _bound(low: Floats, high: Floats, gain: Floats, dearer: float) -> None:
    """Narrows views of an interval to where staying pays: gain - weight dearer >= 0."""
    if abs(dearer) <= TIE:
        high[gain < -TIE] = -np.inf
    elif dearer > 0:
        np.minimum(high, gain / dearer, out=high)
    else:
        np.maximum(low, gain / dearer, out=low)


@dataclass(frozen=True)
class RateAnswer:
    """What the pure equilibria are between two exchange rates w_c / w_b."""

    low: float
    high: float
    steering: bool  # one in which somebody is steered
    nobody: bool  # one in which nobody is


@dataclass(frozen=True)
class RateSweep:
    """The answers of one game over the swept exchange rates, at one weight of homophily."""

    homophily: float  # its weight over that of behaviour
    answers: tuple[RateAnswer, ...]  # from the lowest rate to the highest; more than one: it turns
    steering_up_to: float | None  # the highest rate in the sweep with steering; None: there is none
    redrawn: tuple[float, float] | None  # 95 % of redraws of the same; None where it is absent
    turns_in: float  # share of redraws in which the answer turns in the sweep
    stays: Mapping[Joint, tuple[float, float]]  # the rates of the sweep at which each is one


def rate_sweep(
    cells: Cells,
    steers: Sequence[Sequence[bool]],
    weights: Weights,
    factors: Sequence[float],
    how: Resampling,
) -> tuple[RateSweep, ...]:
    """The answers at w_c / w_b from the least to the largest factor times that of `weights`.

    One sweep for each factor of the weight of homophily, 1 first. `steers` says of every player's
    actions which steer. Raises InputError as `game_payoffs`, for a sweep that has no width, or one
    of a payoff without behaviour, over whose weight the rates are.
    """
    if 1.0 not in factors or min(factors) < 0 or len(set(factors)) < 2 or weights.behaviour <= 0:
        raise InputError(
            "exchange rates",
            expected="two factors or more of at least 0, 1 among them, and a weight of behaviour",
            got=f"{', '.join(f'{f:g}' for f in factors)}; weight {weights.behaviour:g}",
            cure="sweep the weight of the cost from below it to above it",
        )
    shape = [len(own) for own in steers]
    cost = -game_payoffs(cells, shape, Weights(0.0, 0.0, 1.0, weights.kl_ceiling), None)
    rate = weights.cost / weights.behaviour
    ends = (min(factors) * rate, max(factors) * rate)
    order = sorted(set(factors), key=lambda f: (f != 1.0, f))
    own = [
        Weights(weights.behaviour, f * weights.homophily, 0.0, weights.kl_ceiling) for f in order
    ]
    return tuple(_swept(cells, steers, each, (cost, ends), how) for each in own)


def _swept(
    cells: Cells,
    steers: Sequence[Sequence[bool]],
    own: Weights,
    prices: tuple[Floats, tuple[float, float]],
    how: Resampling,
) -> RateSweep:
    """One sweep: `own` weighs what is not cost; `prices` are the costs and the ends of rates."""
    cost, ends = prices
    shape = [len(each) for each in steers]
    worth = game_payoffs(cells, shape, own, None) / own.behaviour
    draws = game_draws(cells, shape, own, None, how) / own.behaviour
    one, again = cost_ranges(worth, cost), cost_ranges(draws, cost)
    steered = np.array([any(s[a] for s, a in zip(steers, j, strict=True)) for j in one.joints])
    many = [_answers(*each, steered, ends) for each in zip(again.low, again.high, strict=True)]
    answers = _answers(one.low, one.high, steered, ends)
    tops = [_top(each, ends[0]) for each in many]
    top = max((a.high for a in answers if a.steering), default=None)
    return RateSweep(
        homophily=own.homophily / own.behaviour,
        answers=answers,
        steering_up_to=top,
        redrawn=None if top is None else _middle(tops),
        turns_in=float(np.mean([len(each) > 1 for each in many])),
        stays=_stays(one, ends),
    )


def _answers(
    low: Floats, high: Floats, steered: npt.NDArray[np.bool_], ends: tuple[float, float]
) -> tuple[RateAnswer, ...]:
    """The answers of one game, neighbours that are the same taken together."""
    cuts = np.concatenate([low, high])
    cuts = np.unique(cuts[(cuts > ends[0]) & (cuts < ends[1])])
    least = ROUNDING * (ends[1] - ends[0])
    cuts = cuts[np.diff(cuts, prepend=ends[0]) > least]
    edges = [ends[0], *(float(c) for c in cuts if c < ends[1] - least), ends[1]]
    found: list[RateAnswer] = []
    for start, stop in itertools.pairwise(edges):
        stays = (low <= (start + stop) / 2) & ((start + stop) / 2 <= high)
        kind = (bool((stays & steered).any()), bool((stays & ~steered).any()))
        if found and (found[-1].steering, found[-1].nobody) == kind:
            found[-1] = RateAnswer(found[-1].low, stop, *kind)
        else:
            found.append(RateAnswer(start, stop, *kind))
    return tuple(found)


def _stays(found: CostRanges, ends: tuple[float, float]) -> dict[Joint, tuple[float, float]]:
    """The part of the sweep in which each joint action is a pure equilibrium; none of no width."""
    low, high = np.maximum(found.low, ends[0]), np.minimum(found.high, ends[1])
    each = zip(found.joints, low, high, strict=True)
    least = ROUNDING * (ends[1] - ends[0])
    return {joint: (float(a), float(b)) for joint, a, b in each if b - a > least}


def _top(answers: Sequence[RateAnswer], lowest: float) -> float:
    return max((a.high for a in answers if a.steering), default=lowest)


def _middle(values: Sequence[float]) -> tuple[float, float]:
    low, high = np.quantile(values, [0.025, 0.975])
    return float(low), float(high)
