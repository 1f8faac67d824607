"""Readings: what does a subject hold at each token of answers that restart, and that do not?"""

import string
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
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
from mahals.models.activations.encoding import encode_answers
from mahals.models.generation.token_states import token_states
from mahals.models.saes.autoencoder import Sae, encode
from mahals.models.steering.interventions import Arm
from mahals.phase import Lab
from mahals.records import AtLeast, Positive

R = TypeVar("R", bound=TokenMean)
LEAST = 3  # clusters that an interval needs
ENDS = string.whitespace + string.punctuation
Answer = tuple[ResistanceTrial, str]
Values = Sequence[float | None]


@dataclass(frozen=True)
class ReadingChoice(SubjectChoice):
    """Whose stored answers are read, and how far around a restart of the writer's own."""

    situations: Annotated[tuple[Literal["free", "first", "own_text", "passage"], ...], AtLeast(1)]
    least_episodes: Positive
    most: Positive  # answers of a group that are read, evenly over all
    reach: Positive  # tokens before and after a restart


@dataclass(frozen=True, eq=False)
class TokenReading:
    """A stored answer read again. Ends of sentences, where others differ, are in no region."""

    trial: ResistanceTrial
    text: str
    places: Sequence[int]  # the character at which each token's word begins
    start: int  # the first token of the clause that restarts it; 0: on topic throughout
    stop: int  # the first token after it
    ends: tuple[int, int]  # the first token of the end of the sentence before, and of the answer's
    states: Tensor  # (t, d) after the block whose latents are read
    latents: Floats  # (t, m)

    def mean(self, values: Values, place: str | int) -> float | None:
        """Of values by tokens the mean over a region, or the one so many from the restart."""
        at = self.start
        if isinstance(place, int):
            return values[at + place] if self.stop and 0 <= at + place < len(values) else None
        before, last = self.ends
        ends = ((0, before), (at, self.stop), (self.stop, last))[REGIONS.index(place)]
        known = [v for v in values[slice(*ends)] if v is not None]
        return float(np.mean(known)) if known else None


Quantity = Callable[[TokenReading], Values]
Readings = Mapping[str, Mapping[int, TokenReading]]  # an episode and its twin have one number


def answer_groups(
    lab: Lab, key: str, name: str, situation: str, sources: Sequence[str]
) -> dict[str, list[Answer]]:
    """A subject's stored answers in groups, in plan order; broken and empty ones are left out."""
    phase = UNSTEERED if name == ALIGNED else "esr_finetune"
    own = [t for t in lab.rows("esr", key) if (t.subject, t.situation) == (name, situation)]
    plain = [t for t in lab.rows(phase, key) if (t.subject, t.situation) == (name, "unsteered")]
    off = [t for t in own if t.source in sources and t.first is not None and t.first < DERAILED]
    prompts, groups = {t.prompt for t in own}, dict[str, list[Answer]]()
    for group, of, trials in (
        ("episode", "esr", [t for t in off if t.restarted]),  # left the topic
        ("derailed", "esr", [t for t in off if not t.restarted]),
        ("unsteered", phase, [t for t in plain if t.prompt in prompts and not t.restarted]),
    ):
        made = [t for t in trials if t.line is not None and not t.degenerate]
        texts = zip(made, stored_answers(lab, of, made), strict=True)
        groups[group] = [(t, text) for t, text in texts if text.strip()]
    return groups


def read(
    bench: EpisodeBench,
    sae: Sae,
    groups: Mapping[str, Sequence[Answer]],
    along: Sequence[BoostDirection] | None,
    most: int,
) -> dict[str, dict[int, TokenReading]]:
    """Up to `most` of each group, evenly, read as they were written; unsteered without `along`.

    Each episode has a longer derailed one as twin, marked where it restarts itself: of the same
    direction if there is one, the least used, the first.
    """
    found = {
        g: dict(enumerate(_read(bench, sae, own[:: -(-len(own) // most)], along) if own else ()))
        for g, own in groups.items()
    }
    others, used, twins = found["derailed"], Counter[int](), dict[int, TokenReading]()
    for number, e in found["episode"].items():
        longer = [(i, d) for i, d in others.items() if len(d.places) > e.stop]
        ranked = sorted((d.trial.direction != e.trial.direction, used[i], i) for i, d in longer)
        for *_, i in ranked[:1]:
            ends = e.ends[0], others[i].ends[1]
            twins[number] = replace(others[i], start=e.start, stop=e.stop, ends=ends)
            used[i] += 1
    return found | {"derailed": twins}


def _read(
    bench: EpisodeBench, sae: Sae, answers: Sequence[Answer], along: Sequence[BoostDirection] | None
) -> Iterator[TokenReading]:
    tokenizer, setting = bench.loaded.tokenizer, bench.texts.setting
    encoded = encode_answers(tokenizer, [t.prompt for t, _ in answers], [a for _, a in answers])
    arms = list[Arm]()
    for (t, _), e in zip(answers, encoded, strict=True):
        arm = Arm("off", ()) if along is None else steering_arm(bench, t, along)
        if t.situation == "first":  # what acts on the first tokens alone is taken back after them
            until = f"from:{e.start + setting.first_tokens}"
            back = [replace(s, strength=-s.strength, scope=until) for s in arm.steps]
            arm = replace(arm, steps=(*arm.steps, *back))
        arms.append(arm)
    states = token_states(bench.loaded, encoded, arms, setting.read_block)
    for (t, text), e, s in zip(answers, encoded, states, strict=True):
        at = [p + len(text[p:]) - len(text[p:].lstrip()) for p in token_places(tokenizer, e, text)]
        start = next((s for s in t.starts if s > 0 and s >= t.prefix - 1), 0)
        stop = next((p for p in clause_places(text) if p > start), len(text)) if start else 0
        places = start, stop, len(text[:start].rstrip(ENDS)), len(text.rstrip(ENDS))
        first, after, *ends = (sum(p < place for p in at) for place in places)
        latents = encode(sae, s).numpy().astype(np.float64)
        yield TokenReading(t, text, at, first, after, (ends[0], ends[1]), s, latents)


def random_latents(live: Sequence[int], sets: Mapping[str, Sequence[int]], seed: int) -> list[int]:
    """As many of `live` as the largest set has, and in no set."""
    others = np.setdiff1d(live, [i for own in sets.values() for i in own])
    size = max(len(own) for own in sets.values())
    return [int(i) for i in np.random.default_rng(seed).permutation(others)[:size]]


def set_means(sets: Mapping[str, list[int]]) -> dict[str, Quantity]:
    """The mean activation of each set that has latents."""
    return {name: partial(_set_mean, own) for name, own in sets.items() if own}


def _set_mean(own: list[int], r: TokenReading) -> Values:
    return [float(v) for v in r.latents[:, own].mean(axis=1)]


def token_means(
    row: partial[R], groups: Readings, quantities: Mapping[str, Quantity], reach: int
) -> Iterator[R]:
    """Of each quantity and group the mean by region, and up to `reach` tokens from restarts.

    The difference is of episodes and twins of the same direction.
    """
    episodes, twins = groups["episode"], groups["derailed"]
    pairs = [i for i, t in twins.items() if t.trial.direction == episodes[i].trial.direction]
    for quantity, of in quantities.items():
        every = [(g, i, r, of(r)) for g, own in groups.items() for i, r in own.items()]
        for place in (*REGIONS, *range(-reach, reach + 1)):
            known: dict[str, dict[int, float]] = {g: {} for g in groups}
            for g, i, r, values in every:
                if (mean := r.mean(values, place)) is not None:
                    known[g][i] = mean
            one, other = known["episode"], known["derailed"]
            known["difference"] = {i: one[i] - other[i] for i in pairs if i in one and i in other}
            for g, means in known.items():
                names = clusters([groups.get(g, episodes)[i] for i in means])
                own = partial(row, quantity=quantity, place=place, group=g)
                yield from mean_of(own, list(means.values()), names)


def clusters(answers: Sequence[TokenReading]) -> list[str]:
    """What intervals cluster on: directions, or prompts of a single one."""
    several = len({a.trial.direction for a in answers}) > 1
    return [a.trial.direction if several else a.trial.prompt for a in answers]


def mean_of(row: partial[R], values: Sequence[float], names: Sequence[str]) -> Iterator[R]:
    """The row of a mean, with its interval if values are of enough clusters; none of no values."""
    if values:
        mean, ends = float(np.mean(values)), dict[str, float]()
        if len(set(names)) >= LEAST:
            found = jackknife_interval(np.subtract(values, mean), mean, names)
            ends = {"low": found.low, "high": found.high}
        yield row(count=len(values), mean=mean, **ends)
