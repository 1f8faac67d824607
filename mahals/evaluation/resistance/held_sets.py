"""Held sets: which latents are held at 0, beside which random ones of equal frequency or KL?"""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import product
from typing import Annotated, Literal

import numpy as np
import torch

from mahals.evaluation.resistance.episodes import Ask, EpisodeBench, EpisodeCell
from mahals.evaluation.resistance.openings import passage_cells
from mahals.evaluation.resistance.subjects import SubjectChoice, derailments, model_sae
from mahals.maths.metrics.latents import frequency_matched
from mahals.models.activations.batching import Batch, for_each, model_inputs
from mahals.models.activations.encoding import Encoded, encode_answers
from mahals.models.checkpoints.checkpoint import Loaded
from mahals.models.generation.price import price_budget
from mahals.models.saes.autoencoder import Sae
from mahals.models.saes.files import read_sae
from mahals.models.saes.steering import Hold
from mahals.models.steering.holding import held
from mahals.phase import Lab
from mahals.records import AtLeast, InputError, Positive, from_plain, seed_of, to_plain


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
    """Which random sets of live latents stand beside the detectors."""

    situations: Annotated[tuple[Literal["free", "passage"], ...], AtLeast(1)]
    kinds: tuple[Literal["uniform", "frequency", "kl"], ...]  # as many | as often | as far
    draws: Positive  # sets of each kind
    size: Positive  # of a uniform set, where there are no detectors


@dataclass(frozen=True)
class HeldChoice(SubjectChoice):
    """Who is steered along what, beside how many random sets."""

    sets: SetDraws


@dataclass(frozen=True)
class HeldSet:
    """Latents that are held at 0."""

    name: str  # detectors | uniform-0 | frequency-0 | kl-0 ...
    latents: tuple[int, ...]
    kl: float | None  # nats a token, over own answers to their own prompts and to others
    why: str | None  # why there are none


def detector_set(lab: Lab, key: str, name: str) -> DetectorSet:
    """What esr_detectors keeps of a subject."""
    file = lab.kept("esr_detectors").path(f"{key}/detectors-{name}.json")
    return from_plain(DetectorSet, json.loads(file.read_text(encoding="utf-8")), file.name)


def detector_sae(lab: Lab, key: str, name: str) -> Sae:
    """The autoencoder whose latents `detector_set` names."""
    found = detector_set(lab, key, name)
    if found.dictionary == "shared":
        return model_sae(lab, key, found.block)
    return read_sae(lab.kept("esr_detectors").path(f"{key}/sae-{name}"), None)


def detector_hold(lab: Lab, key: str, name: str) -> Hold:
    """The detectors of a subject, held at 0."""
    found = detector_set(lab, key, name)
    return Hold(found.block, detector_sae(lab, key, name), found.detectors, 0.0)


def held_cells(bench: EpisodeBench, choice: HeldChoice) -> list[EpisodeCell]:
    """Cells with nothing held, with the detectors, with each random set; one absent trial of none.

    Kept: `sets-<subject>.json`. Raises InputError where no situation has a direction.
    """
    lab, name, cells = bench.lab, bench.subject, _unheld(bench, choice)
    hold = detector_hold(lab, bench.loaded.key, name)
    sets, found = _sets(bench, hold, choice.sets), list(cells)
    lab.keep_text(f"sets-{name}.json", json.dumps(to_plain(sets), indent=1) + "\n")
    for s in sets:
        holds = (replace(hold, latents=s.latents),)
        absent = replace(cells[0], ablated=s.name, asks=(Ask("", 0, why=s.why),))
        found += [absent] if s.why else [replace(c, ablated=s.name, holds=holds) for c in cells]
    return found


def _unheld(bench: EpisodeBench, choice: HeldChoice) -> list[EpisodeCell]:
    """The cells with nothing held, at least one. Raises InputError for none."""
    along = derailments(bench.lab, bench.loaded.key, bench.subject, choice.sources)
    free = [
        EpisodeCell(d.direction, d.threshold.boost, "free", bench.asks_at(d.threshold))
        for d in along
    ]
    both = [*free, *passage_cells(bench, (d.direction for d in along))]
    cells = [c for c in both if c.situation in choice.sets.situations]
    if not cells:
        raise InputError(
            f"what is held with in {bench.loaded.key}, {bench.subject}",
            expected="a situation that a direction has: passage needs one with a concept",
            got=f"situations {list(choice.sets.situations)}, sources {list(choice.sources)}",
            cure="add free to sets.situations, or contrast to sources and to esr_threshold's",
        )
    return cells


def _sets(bench: EpisodeBench, hold: Hold, draws: SetDraws) -> list[HeldSet]:
    """The detectors and the random sets, each with its KL."""
    known, own = detector_set(bench.lab, bench.loaded.key, bench.subject), bench.texts.references
    asked = [p for p in bench.texts.setting.prompts("calibration") if own[p][0].strip()]
    answers, prompts = [own[p][0] for p in asked] * 2, [*asked, *asked[1:], *asked[:1]]
    texts = encode_answers(bench.loaded.tokenizer, prompts, answers)
    pool = [i for i, f in enumerate(known.frequency) if f > 0 and i not in known.detectors]
    least = len(known.detectors) or draws.size

    def far(some: Sequence[int]) -> float:
        return hold_divergence(bench.loaded, texts, replace(hold, latents=tuple(some)))

    why = None if known.detectors else "no latent is a detector: nothing to hold, nothing to match"
    few = f"{len(pool)} live latents are no detectors, {least} are needed"
    target = far(known.detectors) if known.detectors else None
    found = [HeldSet("detectors", known.detectors, target, why)]
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


def _as_far(far: Callable[[list[int]], float], order: list[int], target: float) -> list[int]:
    """As many of the first latents of `order` as move next tokens nearest to the target."""
    low, high = 1, len(order)
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if far(order[:middle]) < target else (low, middle)
    return min((order[:low], order[:high]), key=lambda some: abs(far(some) - target))


def hold_divergence(loaded: Loaded, encoded: Sequence[Encoded], hold: Hold) -> float:
    """KL(intact || held) of next tokens at the texts' own, in nats a token. Raises InputError."""
    kl = torch.zeros(len(encoded), dtype=torch.float64)

    def read(batch: Batch) -> None:
        logs = []
        for holds in ((), (hold,)):
            with torch.inference_mode(), held(loaded.model, [holds] * len(batch.rows)):
                out = loaded.model(**model_inputs(loaded, batch), use_cache=False)
                logs.append(out.logits.float().log_softmax(-1))
        far = (logs[0].exp() * (logs[0] - logs[1])).sum(dim=-1) * batch.own
        kl[list(batch.rows)] = far.cpu().double().sum(dim=1)

    for_each(loaded, encoded, read, budget=price_budget(loaded))
    return float(kl.sum()) / sum(e.stop - e.start for e in encoded)
