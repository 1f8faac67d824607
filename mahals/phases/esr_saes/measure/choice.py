"""Choice of latents: which ones stand for one thing that the prompts do not ask for?"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Literal

import torch
from torch import Tensor

from mahals.data.world.words import HOW_TO
from mahals.evaluation.resistance.setting import ResistanceSetting
from mahals.maths.metrics.resistance import NONE
from mahals.models.saes.autoencoder import Sae, encode
from mahals.phases.esr_saes.rows import Row
from mahals.records import Count, Positive

STEPS = ("live", "concrete", "silent", "chosen")
SKIPPED = "skipped: nothing here knows which concept a token belongs to"
TOP = 12  # tokens that activate a latent most: by these it is known
ONE_TOPIC = 0.8  # share of them that must be in steps of one topic
CHUNK = 256  # states that are encoded at once
_TOPICS = {step: topic for topic, steps in HOW_TO.items() for step in steps}
_STEP, _WORD = re.compile("|".join(map(re.escape, _TOPICS))), re.compile(r"\w[\w'-]*")
Context = tuple[str, str]
"""Where a state was read: the word, and the topic of the step that it is in, or none."""


@dataclass(frozen=True)
class LatentChoice:
    """How many latents are looked at, and which are taken."""

    candidates: Positive
    wanted: Count
    silent: Literal[
        "all", "met"
    ]  # in all prompts (the published code's rule), or those it leads off


def contexts(text: str, places: Sequence[int]) -> list[Context]:
    """The context of each token of a text; tokens begin at `places`, or one space later."""
    words = [(m.end(), m.group().lower()) for m in _WORD.finditer(text)]
    steps = [(m.start() - 1, m.end(), _TOPICS[m.group()]) for m in _STEP.finditer(text)]
    word_at = [next((word for end, word in words if end > at), "") for at in places]
    step_at = [next((t for start, end, t in steps if start <= at < end), NONE) for at in places]
    return list(zip(word_at, step_at, strict=True))


def known_by(
    sae: Sae, states: Tensor, at: Sequence[Context], labels: Mapping[str, str], row: partial[Row]
) -> list[Row]:
    """A row for each latent, with the concept of the tokens of states (n, d) that activate it most.

    Its label is that of `labels`, or their most frequent words. One that is active in none is out.
    """
    best, rows = torch.zeros(0, len(sae.w_dec)), torch.zeros(0, len(sae.w_dec), dtype=torch.int64)
    for start in range(0, len(states), CHUNK):
        active = encode(sae, states[start : start + CHUNK])
        numbers = torch.arange(start, start + len(active))[:, None].expand_as(active)
        pooled, own = torch.cat([best, active]), torch.cat([rows, numbers])
        best, order = pooled.topk(min(TOP, len(pooled)), dim=0)
        rows = own.gather(0, order)
    found = []
    for latent in range(len(sae.w_dec)):
        one = row(what="latent", name=f"latent:{latent}", source="latent", latent=latent)
        top = [at[r] for r in rows[best[:, latent] > 0, latent].tolist()]
        if top:
            words = ", ".join(word for word, _ in Counter(word for word, _ in top).most_common(3))
            topic, most = Counter(topic for _, topic in top).most_common(1)[0]
            concept = topic if most >= ONE_TOPIC * len(top) else NONE
            one = replace(one, label=labels.get(str(latent), words), concept=concept)
        found.append(one if top else replace(one, step="live", why="active in no state"))
    return found


def choose(
    candidates: Sequence[Row],
    active: Mapping[str, frozenset[int]],
    setting: ResistanceSetting,
    choice: LatentChoice,
) -> Iterator[Row]:
    """The candidates in order, each with the step that it did not pass; the first ones stay.

    `active`: the latents that are active in each prompt. Where concepts are the world's, a latent
    stands for the one that its top tokens belong to; elsewhere that step is skipped.
    """
    left = choice.wanted
    for one in candidates:
        asked = [p for p in active if choice.silent == "all" or setting.meets(p, one.concept)]
        heard = sum(one.latent in active[p] for p in asked)
        if one.why is None and of_the_world(setting) and one.concept not in setting.texts.concepts:
            one = replace(one, step="concrete", why="its top tokens belong to no single concept")
        elif one.why is None and heard:
            one = replace(one, step="silent", why=f"active in {heard} of {len(asked)} prompts")
        elif one.why is None and left == 0:
            one = replace(one, step="chosen", why="enough were chosen before it")
        left -= one.why is None
        yield one


def steps(found: Sequence[Row], setting: ResistanceSetting, row: partial[Row]) -> Iterator[Row]:
    """How many candidates are left after each step."""
    for i, step in enumerate(("candidates", *STEPS)):
        left = sum(r.step is None or r.step in STEPS[i:] for r in found)
        why = SKIPPED if step == "concrete" and not of_the_world(setting) else None
        yield row(what="step", name=step, source="latent", count=left, why=why)


def of_the_world(setting: ResistanceSetting) -> bool:
    """Whether concepts are the world's: its steps say which one a token belongs to."""
    return set(setting.texts.concepts) <= set(HOW_TO)
