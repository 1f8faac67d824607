"""Held sets: which latents are held at 0, beside which random ones of equal frequency or KL?"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import product
from typing import Literal

import numpy as np

from mahals.evaluation.resistance.episodes import Ask, EpisodeBench, EpisodeCell
from mahals.evaluation.resistance.openings import passage_cells
from mahals.evaluation.resistance.subjects import Derailment, model_sae
from mahals.maths.metrics.latents import frequency_matched
from mahals.models.activations.encoding import Encoded, encode_answers
from mahals.models.generation.divergence import hold_divergence
from mahals.models.saes.autoencoder import Sae
from mahals.models.saes.files import read_sae
from mahals.models.saes.steering import Hold
from mahals.phase import Lab
from mahals.records import Positive, from_plain, seed_of, to_plain

PHASE, DETECTORS = "esr_detectors", "detectors"


@dataclass(frozen=True)
class DetectorSet:
    """What esr_detectors found in the states of one subject."""

    block: int
    dictionary: str  # shared: that of esr_saes | own: of the subject's states
    labels: tuple[str, ...]  # of the detectors
    detectors: tuple[int, ...]
    dead: tuple[int, ...]  # latents that no answer wakes
    frequency: tuple[float, ...]  # of every latent: share of the tokens of exchanged answers


@dataclass(frozen=True)
class SetDraws:
    """Which random sets stand beside the detectors; no dead latents, no detectors.

    uniform: as many as there are detectors; frequency: in the place of each detector one that is
    active about as often; kl: as many as move next tokens as far.
    """

    situations: tuple[Literal["free", "passage"], ...]
    kinds: tuple[Literal["uniform", "frequency", "kl"], ...]
    draws: Positive  # sets of each kind
    size: Positive  # of a uniform set, where there are no detectors


@dataclass(frozen=True)
class HeldSet:
    """Latents that are held at 0."""

    name: str  # detectors | uniform-0 | frequency-0 | kl-0 ...
    latents: tuple[int, ...]
    kl: float | None  # nats a token, over own answers to their own prompts and to others
    why: str | None  # why there are none


def detector_set(lab: Lab, key: str, name: str) -> DetectorSet:
    """What esr_detectors keeps of a subject."""
    file = lab.kept(PHASE).path(f"{key}/detectors-{name}.json")
    return from_plain(DetectorSet, json.loads(file.read_text(encoding="utf-8")), file.name)


def detector_sae(lab: Lab, key: str, name: str) -> Sae:
    """The autoencoder whose latents `detector_set` names."""
    found = detector_set(lab, key, name)
    if found.dictionary == "shared":
        return model_sae(lab, key, found.block)
    return read_sae(lab.kept(PHASE).path(f"{key}/sae-{name}"), None)


def detector_hold(lab: Lab, key: str, name: str) -> Hold:
    """The detectors of a subject, held at 0."""
    found = detector_set(lab, key, name)
    return Hold(found.block, detector_sae(lab, key, name), found.detectors, 0.0)


def held_cells(
    bench: EpisodeBench, along: Sequence[Derailment], draws: SetDraws
) -> list[EpisodeCell]:
    """Cells with nothing held, then with the detectors, then with each random set.

    A set that cannot be made is one absent trial. Kept: `sets-<subject>.json`.
    """
    hold = detector_hold(bench.lab, bench.loaded.key, bench.subject)
    sets = _sets(bench, hold, draws)
    bench.lab.keep_text(f"sets-{bench.subject}.json", json.dumps(to_plain(sets), indent=1) + "\n")
    free = [
        EpisodeCell(d.direction, d.threshold.boost, "free", bench.asks_at(d.threshold))
        for d in along
    ]
    both = [*free, *passage_cells(bench, (d.direction for d in along))]
    cells = [c for c in both if c.situation in draws.situations]
    found = list(cells)
    for s in sets:
        holds = (replace(hold, latents=s.latents),)
        absent = replace(cells[0], ablated=s.name, asks=(Ask("", 0, why=s.why),))
        found += [absent] if s.why else [replace(c, ablated=s.name, holds=holds) for c in cells]
    return found


def _sets(bench: EpisodeBench, hold: Hold, draws: SetDraws) -> list[HeldSet]:
    """The detectors and the random sets, each with its KL."""
    known = detector_set(bench.lab, bench.loaded.key, bench.subject)
    pool = [i for i, f in enumerate(known.frequency) if f > 0 and i not in known.detectors]
    texts, least = _texts(bench), len(known.detectors) or draws.size

    def far(some: Sequence[int]) -> float:
        return hold_divergence(bench.loaded, texts, [replace(hold, latents=tuple(some))])[0]

    why = None if known.detectors else "no latent is a detector: nothing to hold, nothing to match"
    few = f"{len(pool)} live latents are no detectors, {least} are needed"
    target = far(known.detectors) if known.detectors else None
    found = [HeldSet(DETECTORS, known.detectors, target, why)]
    for kind, k in product(draws.kinds, range(draws.draws)):
        absent = few if len(pool) < least else None if kind == "uniform" else why
        seed = seed_of("held set", kind, k, bench.loaded.key, bench.subject, bench.lab.seed)
        some: list[int] = np.random.default_rng(seed).permutation(pool).tolist()
        if absent is not None:
            some = []
        elif kind == "frequency":
            some = frequency_matched(known.frequency, known.detectors, pool, seed).tolist()
        else:
            some = some[:least] if kind == "uniform" else _as_far(far, some, target or 0.0)
        found.append(HeldSet(f"{kind}-{k}", tuple(some), far(some) if some else None, absent))
    return found


def _texts(bench: EpisodeBench) -> list[Encoded]:
    """Own answers to calibration prompts, each to its own prompt and to the next one."""
    own = bench.texts.references
    asked = [p for p in bench.texts.setting.prompts("calibration") if own[p][0].strip()]
    answers = [own[p][0] for p in asked]
    prompts = [*asked, *asked[1:], *asked[:1]]
    return encode_answers(bench.loaded.tokenizer, prompts, [*answers, *answers])


def _as_far(far: Callable[[list[int]], float], order: list[int], target: float) -> list[int]:
    """As many of the first latents of `order` as move next tokens nearest to the target."""
    low, high = 1, len(order)
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if far(order[:middle]) < target else (low, middle)
    return min((order[:low], order[:high]), key=lambda some: abs(far(some) - target))
