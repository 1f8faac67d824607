"""Arms: which undo or induce misalignment, at what strength, and what does each cost?"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
import torch
from torch import Tensor

from mahals.evaluation.bench import Bench, accuracy
from mahals.evaluation.misalignment.answers import Answered, Asking, answer_arms
from mahals.maths.vectors.controls import random_like
from mahals.models.activations.capture import capture
from mahals.models.checkpoints.checkpoint import Loaded
from mahals.models.generation.dose import dose_for_kl
from mahals.models.generation.price import neutral_price
from mahals.models.steering.batch_invariance import check_batched
from mahals.models.steering.hooks import steered
from mahals.models.steering.interventions import Arm, Intervention

Directions = Mapping[int, Tensor]
"""A unit vector (d,) for each block that is changed."""


@dataclass(frozen=True)
class Planned:
    """One arm: what it is, and at which strength."""

    arm: str  # none, ablate, random, induce, induce_random
    draw: int | None  # which random direction
    level: float  # the strength of the ablation, or the KL of the induction, that it belongs to
    strength: float  # of its own operator
    steering: Arm


@dataclass(frozen=True)
class Plan:
    """Arms that could be made, and one sentence for each that could not."""

    arms: tuple[Planned, ...]
    missed: tuple[str, ...]


def arm_of(name: str, directions: Directions, operator: str, strength: float) -> Arm:
    """The arm that applies an operator at each block of `directions`, at all tokens."""
    steps = [Intervention(b, v, strength, operator) for b, v in sorted(directions.items())]
    return Arm(name, tuple(steps))


def random_directions(like: Directions, draws: int, seed: int) -> list[Directions]:
    """`draws` random unit directions, each the same at all blocks of `like`."""
    first = like[min(like)].double().numpy()
    found = np.asarray(random_like(first / np.linalg.norm(first), draws, seed))
    return [{b: torch.from_numpy(r).float() for b in like} for r in found]


def ablations(
    loaded: Loaded,
    at: Bench,
    own: Directions,
    strengths: Sequence[float],
    random: Sequence[Directions],
) -> Plan:
    """The direction ablated at each strength, and each random one at the strength of equal KL."""
    planned, missed = [], []
    arms = {s: arm_of(f"ablate {s:g}", own, "ablate", s) for s in strengths}
    moved = neutral_price(loaded, at.calibration, list(arms.values())).kl.tolist()
    for (strength, arm), kl in zip(arms.items(), moved, strict=True):
        planned.append(Planned("ablate", None, strength, strength, arm))
        if strength == 0:
            continue
        more, why = _at_kl(loaded, at, random, "ablate", kl)
        planned += [replace(p, arm="random", level=strength) for p in more]
        missed += [f"random, strength {strength:g}: {w}" for w in why]
    return Plan(tuple(planned), tuple(missed))


def inductions(
    loaded: Loaded, at: Bench, own: Directions, doses: Sequence[float], random: Sequence[Directions]
) -> Plan:
    """The direction and each random one added, at the strength where each moves text by a KL."""
    planned, missed = [], []
    for dose in doses:
        mine, why = _at_kl(loaded, at, [own], "add", dose)
        planned += [replace(p, arm="induce", draw=None, level=dose) for p in mine]
        missed += [f"induce, KL {dose:g}: {w}" for w in why]
        more, why = _at_kl(loaded, at, random, "add", dose)
        planned += [replace(p, arm="induce_random", level=dose) for p in more]
        missed += [f"induce_random, KL {dose:g}: {w}" for w in why]
    return Plan(tuple(planned), tuple(missed))


def _at_kl(
    loaded: Loaded, at: Bench, some: Sequence[Directions], operator: str, kl: float
) -> tuple[list[Planned], list[str]]:
    """Each direction at the strength that gives the KL on the calibration texts."""
    if kl <= 0:
        return [], ["the ablation moves nothing, so there is no dose to equal"]
    makers: list[Callable[[float], Arm]] = [
        partial(arm_of, f"{operator} {i}", d, operator) for i, d in enumerate(some)
    ]
    doses = dose_for_kl(loaded, at.calibration, makers, kl)
    rows = enumerate(zip(makers, doses.strengths, doses.missed, strict=True))
    found, why = [], []
    for i, (make, strength, reason) in rows:
        if strength is None:
            why.append(f"direction {i}: {reason}")
        else:
            found.append(Planned(operator, i, kl, strength, make(strength)))
    return found, why


def check_arm(at: Bench, arm: Arm) -> None:
    """Passes when a text's state under an arm is the same in a batch as alone, and at 0 unsteered.

    Strength 0 is read by hooks and has to leave the first prompt's last state bit for bit. Raises
    RuntimeError where it does not, and as `check_batched`.
    """
    loaded, pool = at.loaded, at.suite.pool
    check_batched(loaded, at.encoded, arm, pool)
    zero = Arm(f"{arm.name} at 0", tuple(replace(s, strength=0.0) for s in arm.steps))
    text, last = at.encoded[:1], [loaded.layers - 1]
    with steered(loaded.model, [zero], [0]):
        at_0 = capture(loaded, text, last, pool)
    if not torch.equal(at_0, capture(loaded, text, last, pool)):
        raise RuntimeError(f"{loaded.key}, {arm.name}: strength 0 changed a state")


@dataclass(frozen=True)
class Found:
    """What an arm answered, and its price: lower KL and ratio, higher accuracy are better."""

    answered: Answered
    kl: float | None  # nats per token on neutral text, from the same model without the arm
    perplexity_ratio: float
    safe_accuracy: float | None


def measured(loaded: Loaded, at: Bench, asking: Asking, arms: Sequence[Arm]) -> list[Found]:
    """Answers and price of each arm; `arms[0]` is the model without one, the ratio's base."""
    here = replace(at, loaded=loaded)
    price = neutral_price(loaded, at.neutral, arms)
    ratios = (price.perplexity / price.perplexity[0]).tolist()
    answers, right = answer_arms(loaded, asking, arms), accuracy(here, arms)
    rows = zip(answers, price.kl.tolist(), ratios, right, strict=True)
    return [Found(a, k, r, s) for a, k, r, s in rows]


def check_found(key: str, arms: Sequence[Planned], found: Sequence[Found]) -> None:
    """Raises RuntimeError where strength 0 changed an answer, or another strength nothing.

    Both begin with the model without an arm; `key` names it in the message.
    """
    for planned, one in zip(arms[1:], found[1:], strict=True):
        same = one.kl == 0 and one.answered.answers == found[0].answered.answers
        if planned.strength == 0 and not same:
            raise RuntimeError(f"{key}, {planned.steering.name}: strength 0 changed the model")
        if planned.strength != 0 and one.kl == 0:
            raise RuntimeError(f"{key}, {planned.steering.name}: the hooks did not act")


def over_ceiling(found: Found, base: Found, at: Bench) -> tuple[str, ...]:
    """The bounds of suite.ceiling that an arm breaks, against the same model without it."""
    c = at.suite.ceiling
    broken = {
        "perplexity_ratio": found.perplexity_ratio / base.perplexity_ratio > c.perplexity_ratio,
        "degenerate_share": _rise(found, base, "degenerate") > c.degenerate_share,
        "refusal_safe": _rise(found, base, "refused") > c.refusal_safe,
        "safe_accuracy": found.safe_accuracy is not None
        and base.safe_accuracy is not None
        and base.safe_accuracy - found.safe_accuracy > c.safe_accuracy,
    }
    return tuple(name for name, over in broken.items() if over)


def _rise(found: Found, base: Found, what: str) -> float:
    return float(np.mean(getattr(found.answered, what)) - np.mean(getattr(base.answered, what)))
