"""Readings: what does a subject hold at each token of answers that restart, and that do not?"""

from __future__ import annotations

import string
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import product
from typing import Annotated, Literal, TypeVar

import numpy as np
from torch import Tensor

from mahals.evaluation.resistance.episodes import EpisodeBench, clause_places, stored_answers
from mahals.evaluation.resistance.latents import steering_arm, token_places
from mahals.evaluation.resistance.openings import DERAILED
from mahals.evaluation.resistance.setting import PHASE as UNSTEERED
from mahals.evaluation.resistance.subjects import ALIGNED, BoostDirection, SubjectChoice
from mahals.maths.metrics.resistance import ResistanceTrial
from mahals.maths.metrics.token_means import REGIONS, TokenMean
from mahals.maths.stats.intervals import Floats, jackknife_interval
from mahals.models.activations.encoding import Encoded, encode_answers
from mahals.models.generation.token_states import token_states
from mahals.models.saes.autoencoder import Sae, encode
from mahals.models.steering.interventions import Arm
from mahals.phase import Lab
from mahals.records import AtLeast, Positive

R = TypeVar("R", bound=TokenMean)
PAIR, LEAST = ("episode", "derailed"), 3  # clusters that an interval needs
ENDS = string.whitespace + string.punctuation
Answer = tuple[ResistanceTrial, str]
Situation = Literal["free", "first", "own_text", "passage"]
"""Where a restart is the writer's own."""


@dataclass(frozen=True)
class ReadingChoice(SubjectChoice):
    """Whose stored answers are read, and how far around a restart."""

    situations: Annotated[tuple[Situation, ...], AtLeast(1)]
    least_episodes: Positive
    most: Positive  # answers of a group that are read, evenly over all
    reach: Positive  # tokens before and after a restart


@dataclass(frozen=True, eq=False)
class TokenReading:
    """A stored answer read again: its tokens, and those of the clause that restarts it.

    Ends of sentences before the restart and at the end of all are in no region: an answer that
    never restarts has none as early.
    """

    trial: ResistanceTrial
    text: str
    places: Sequence[int]  # the character at which each token's word begins
    start: int  # tokens
    stop: int  # 0: on topic throughout
    ends: tuple[int, int]  # the first token of the end of the sentence before, and of the answer's
    states: Tensor  # (t, d) after the block whose latents are read
    latents: Floats  # (t, m)
    values: Mapping[str, Sequence[float | None]] = field(default_factory=dict)  # of quantities

    def value(self, quantity: str, place: str | int) -> float | None:
        """A quantity's mean over a region, or its value at so many tokens from the restart."""
        values, at = self.values[quantity], self.start
        if isinstance(place, int):
            return values[at + place] if self.stop and 0 <= at + place < len(values) else None
        before, last = self.ends
        ends = ((0, before), (at, self.stop), (self.stop, last))[REGIONS.index(place)]
        known = [v for v in values[slice(*ends)] if v is not None]
        return float(np.mean(known)) if known else None


Readings = Mapping[str, Mapping[int, TokenReading]]
"""By group and number: an episode and its twin, a derailed answer, have one number."""


def answer_groups(
    lab: Lab, key: str, name: str, situation: str, sources: Sequence[str]
) -> dict[str, list[Answer]]:
    """A subject's stored answers in groups, in plan order; broken and empty ones are left out.

    episode: it left the topic and restarts. derailed: it left the topic and never restarts.
    unsteered: to the same prompts, never restarts.
    """
    phase = UNSTEERED if name == ALIGNED else "esr_finetune"
    own = [t for t in lab.rows("esr", key) if (t.subject, t.situation) == (name, situation)]
    plain = [t for t in lab.rows(phase, key) if (t.subject, t.situation) == (name, "unsteered")]
    off = [t for t in own if t.source in sources and t.first is not None and t.first < DERAILED]
    prompts = {t.prompt for t in own}
    return {
        "episode": _answers(lab, "esr", [t for t in off if t.restarted]),
        "derailed": _answers(lab, "esr", [t for t in off if not t.restarted]),
        "unsteered": _answers(
            lab, phase, [t for t in plain if t.prompt in prompts and not t.restarted]
        ),
    }


def _answers(lab: Lab, phase: str, trials: Sequence[ResistanceTrial]) -> list[Answer]:
    made = [t for t in trials if t.line is not None and not t.degenerate]
    texts = zip(made, stored_answers(lab, phase, made), strict=True)
    return [(t, text) for t, text in texts if text.strip()]


def read(
    bench: EpisodeBench,
    sae: Sae,
    groups: Mapping[str, Sequence[Answer]],
    along: Sequence[BoostDirection] | None,
    most: int,
) -> dict[str, dict[int, TokenReading]]:
    """Up to `most` answers of each group, every so many of them, read again.

    Steered as when they were written; unsteered where `along` is None. Of the derailed ones each
    episode has one that is longer, marked where it restarts: of the same direction if there is one,
    the least used, the first.
    """
    found = {
        g: dict(enumerate(_read(bench, sae, own[:: -(-len(own) // most)], along) if own else ()))
        for g, own in groups.items()
    }
    others, used, twins = found["derailed"], Counter[int](), dict[int, TokenReading]()
    for number, e in found["episode"].items():
        longer = [i for i, d in others.items() if len(d.places) > e.stop]
        ranked = sorted((not alike(e, others[i]), used[i], i) for i in longer)
        for *_, i in ranked[:1]:
            ends = e.ends[0], others[i].ends[1]
            twins[number] = replace(others[i], start=e.start, stop=e.stop, ends=ends)
            used[i] += 1
    return found | {"derailed": twins}


def alike(one: TokenReading, other: TokenReading) -> bool:
    """Whether both are of one direction: they left the topic for the same."""
    return one.trial.direction == other.trial.direction


def _read(
    bench: EpisodeBench, sae: Sae, answers: Sequence[Answer], along: Sequence[BoostDirection] | None
) -> Iterator[TokenReading]:
    tokenizer = bench.loaded.tokenizer
    encoded = encode_answers(tokenizer, [t.prompt for t, _ in answers], [a for _, a in answers])
    arms = [_arm(bench, t, along, e) for (t, _), e in zip(answers, encoded, strict=True)]
    states = token_states(bench.loaded, encoded, arms, bench.texts.setting.read_block)
    for (t, text), e, s in zip(answers, encoded, states, strict=True):
        at = [p + len(text[p:]) - len(text[p:].lstrip()) for p in token_places(tokenizer, e, text)]
        start = next((s for s in t.starts if s > 0 and s >= t.prefix - 1), len(text))
        stop = next((p for p in clause_places(text) if p > start), len(text))
        start, stop = (0, 0) if t.situation == "unsteered" else (start, stop)
        places = start, stop, len(text[:start].rstrip(ENDS)), len(text.rstrip(ENDS))
        first, after, *ends = (sum(p < place for p in at) for place in places)
        latents = encode(sae, s).numpy().astype(np.float64)
        yield TokenReading(t, text, at, first, after, (ends[0], ends[1]), s, latents)


def _arm(
    bench: EpisodeBench,
    t: ResistanceTrial,
    along: Sequence[BoostDirection] | None,
    encoded: Encoded,
) -> Arm:
    """The arm that a trial was written under; that of `first` is taken back after its tokens."""
    arm = Arm("off", ()) if along is None else steering_arm(bench, t, along)
    until = f"from:{encoded.start + bench.texts.setting.first_tokens}"
    back = [replace(s, strength=-s.strength, scope=until) for s in arm.steps]
    return replace(arm, steps=(*arm.steps, *back)) if t.situation == "first" else arm


def random_latents(live: Sequence[int], sets: Mapping[str, Sequence[int]], seed: int) -> list[int]:
    """As many of `live` as the largest set has, and in no set."""
    others = np.setdiff1d(live, [i for own in sets.values() for i in own])
    size = max(len(own) for own in sets.values())
    return [int(i) for i in np.random.default_rng(seed).permutation(others)[:size]]


def set_means(r: TokenReading, sets: Mapping[str, Sequence[int]]) -> dict[str, list[float | None]]:
    """The mean activation of each set that has latents, by tokens."""
    return {
        name: r.latents[:, list(own)].mean(axis=1).tolist() for name, own in sets.items() if own
    }


def token_means(row: partial[R], groups: Readings, reach: int) -> Iterator[R]:
    """Of each quantity and group the mean by region, and up to `reach` tokens from restarts.

    The difference is of episodes and twins of the same direction.
    """
    quantities = next(iter(groups["episode"].values())).values
    for quantity, place in product(quantities, (*REGIONS, *range(-reach, reach + 1))):
        known = {
            g: {i: v for i, a in own.items() if (v := a.value(quantity, place)) is not None}
            for g, own in groups.items()
        }
        one, other = known["episode"], known["derailed"]
        pairs = [i for i in one if i in other and alike(*(groups[g][i] for g in PAIR))]
        known["difference"] = {i: one[i] - other[i] for i in pairs}
        for g, values in known.items():
            answers = groups["episode" if g == "difference" else g]
            own = partial(row, quantity=quantity, place=place, group=g)
            yield from mean_of(own, list(values.values()), clusters([answers[i] for i in values]))


def clusters(answers: Sequence[TokenReading]) -> list[str]:
    """What intervals cluster on: directions, or prompts of a single one."""
    several = len({a.trial.direction for a in answers}) > 1
    return [a.trial.direction if several else a.trial.prompt for a in answers]


def mean_of(row: partial[R], values: Sequence[float], names: Sequence[str]) -> Iterator[R]:
    """The row of a mean, with its interval if values are of enough clusters; none of no values."""
    if values:
        each, mean = np.asarray(values, dtype=np.float64), float(np.mean(values))
        enough = len(set(names)) >= LEAST
        found = jackknife_interval(each - mean, mean, names) if enough else None
        low, high = (None, None) if found is None else (found.low, found.high)
        yield row(count=len(values), mean=mean, low=low, high=high)
