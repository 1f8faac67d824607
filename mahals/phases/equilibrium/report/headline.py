"""Headline: for which exchange rates is steering an equilibrium, and was that foregone?"""

from __future__ import annotations

from collections.abc import Sequence

from mahals.maths.games.exchange_rates import RateAnswer, RateSweep, rate_sweep
from mahals.phases.equilibrium.report.games import ALL, MeasuredGames
from mahals.reporting.report import Report

SURE = 0.95  # of redraws in which an answer has to turn
ONE = 0.02  # two turning points nearer than this share of the sweep are told as one
WORDS = {
    (True, False): "somebody steers in every pure equilibrium",
    (True, True): "steering is an equilibrium, and so is that nobody steers",
    (False, True): "nobody steers",
    (False, False): "there is no pure equilibrium",
}


def report_headline(found: MeasuredGames) -> Report:
    """What the pure equilibria are over the sweep of exchange rates, and where that turns.

    `foregone`: no rate of the sweep, and no weight of homophily in it, turns the answer. A turn
    that is there in fewer than .95 of redraws is none: at a price of nearly nothing noise decides.
    """
    rules = found.rules
    steers = (rules.steers,) * len(rules.players)
    sweeps = rate_sweep(found.cells, steers, rules.weights, rules.factors, rules.resampling)
    own = sweeps[0]
    ends = (own.answers[0].low, own.answers[-1].high)
    foregone = not any(map(_turns, sweeps)) and len({_main(sweep) for sweep in sweeps}) == 1
    metrics = {
        f"{ALL}/foregone": float(foregone),
        f"{ALL}/rate_lowest": ends[0],
        f"{ALL}/rate_highest": ends[1],
        f"{ALL}/turns_in_redraws": own.turns_in,
    }
    if own.steering_up_to is not None and own.redrawn is not None:
        metrics[f"{ALL}/steering_below_rate"] = own.steering_up_to
        metrics[f"{ALL}/steering_below_rate_low"] = own.redrawn[0]
        metrics[f"{ALL}/steering_below_rate_high"] = own.redrawn[1]
    return Report(metrics, [_sentence(sweeps, foregone), *_others(sweeps), *_stays(found, own)])


def _sentence(sweeps: Sequence[RateSweep], foregone: bool) -> str:
    own = sweeps[0]
    low, high = own.answers[0].low, own.answers[-1].high
    swept = f"of w_c/w_b from {low:g} to {high:g}"
    again = f"the answer turns in {own.turns_in:.2f} of redraws"
    if foregone:
        alike = sorted(s.homophily for s in sweeps)
        also = f" and of w_h/w_b from {alike[0]:g} to {alike[-1]:g}" if alike[0] < alike[-1] else ""
        return f"foregone: {WORDS[_main(own)]} at every exchange rate {swept}{also}; {again}"
    if not _turns(own):
        return (
            f"{WORDS[_main(own)]} at every exchange rate {swept}, but not at every weight of "
            f"homophily; {again}"
        )
    top, last = own.steering_up_to, own.answers[-1]
    below = [a for a in own.answers if top is not None and a.high <= top]
    if top is not None and all(a.steering for a in below) and _kind(last) == (False, True):
        spread = "" if own.redrawn is None else f" [{own.redrawn[0]:.2f}, {own.redrawn[1]:.2f}]"
        beside = ", as is that nobody steers," if all(a.nobody for a in below) else ""
        above = "above it"
        if last.low - top > ONE * (high - low):
            above = f"from there to {last.low:.2f} there is no pure equilibrium, above that"
        return (
            f"steering is an equilibrium{beside} for w_c/w_b below {top:.2f}{spread}; {above} "
            f"nobody steers (rates {swept}; {again})"
        )
    parts = [f"{a.low:.2f} to {a.high:.2f}: {WORDS[_kind(a)]}" for a in own.answers]
    return f"the answer turns with the exchange rate ({swept}): {'; '.join(parts)}; {again}"


def _turns(sweep: RateSweep) -> bool:
    """Whether some rate of the sweep surely turns the answer."""
    return len(sweep.answers) > 1 and sweep.turns_in >= SURE


def _main(sweep: RateSweep) -> tuple[bool, bool]:
    """The answer at most of the rates."""
    return _kind(max(sweep.answers, key=lambda a: a.high - a.low))


def _others(sweeps: Sequence[RateSweep]) -> list[str]:
    """The other weights of homophily, in one line."""
    parts = []
    for sweep in sorted(sweeps[1:], key=lambda s: s.homophily):
        if sweep.steering_up_to is None:
            what = WORDS[_kind(sweep.answers[0])] if len(sweep.answers) == 1 else "no steering"
        elif sweep.steering_up_to >= sweep.answers[-1].high:
            what = "steering at every rate"
        else:
            what = f"steering below {sweep.steering_up_to:.2f}"
        parts.append(f"w_h/w_b {sweep.homophily:g} {what}")
    return [f"with another weight of homophily: {', '.join(parts)}"] if parts else []


def _stays(found: MeasuredGames, own: RateSweep) -> list[str]:
    """The exchange rates at which each joint action is a pure equilibrium."""
    each = [
        f"{found.rules.named(joint)} {low:.2f} to {high:.2f}"
        for joint, (low, high) in own.stays.items()
    ]
    return [f"pure equilibria by w_c/w_b: {'; '.join(each)}"] if each else []


def _kind(answer: RateAnswer) -> tuple[bool, bool]:
    return (answer.steering, answer.nobody)
