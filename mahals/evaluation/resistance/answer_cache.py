"""Answer cache: was this written before, by the same model, steps, holds and seed?"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from functools import lru_cache
from itertools import chain
from pathlib import Path

from torch import Tensor

from mahals.models.activations.cache import facts, hash_of, tokens_hash
from mahals.models.activations.store import ABSENT, check, keep, used_now
from mahals.models.checkpoints.checkpoint import Loaded
from mahals.models.generation.decoding import stop_ids
from mahals.models.generation.sampling import Continuation, Draft, Sampling, sample
from mahals.models.saes.autoencoder import Sae, tensors_of
from mahals.phase import Lab
from mahals.records import canonical, from_plain, to_plain

AT_ONCE = 96  # answers that are written together: what a kill can cost
_MODELS = Path(__file__).parents[2] / "models"
CODE = hash_of(
    _MODELS / "generation" / "sampling.py",
    _MODELS / "generation" / "decoding.py",
    _MODELS / "steering",
    _MODELS / "saes",
    _MODELS / "activations",
    _MODELS / "checkpoints",
)


def cached_answers(
    lab: Lab, loaded: Loaded, cells: Sequence[Sequence[Draft]], sampling: Sampling
) -> list[list[Continuation]]:
    """What `sample` gives for the drafts of each cell, from the lab's cache where it is.

    A draft that several cells or phases have is written once.
    """
    cache, keeps = lab.cache, lab.cache.limit > 0
    parts = [facts(loaded), to_plain(sampling), sorted(stop_ids(loaded)), CODE]
    known = hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).digest()
    marks = [[_mark(known, d) for d in drafts] for drafts in cells]
    drafts = dict(zip(chain(*marks), chain(*cells), strict=True))
    read = {m: _read(cache.folder / f"{m}.json") if keeps else None for m in drafts}
    found = {m: answer for m, answer in read.items() if answer is not None}
    waiting = [m for m in drafts if m not in found]
    for at in range(0, len(waiting), AT_ONCE):
        group = waiting[at : at + AT_ONCE]
        written = dict(
            zip(group, sample(loaded, [drafts[m] for m in group], sampling), strict=True)
        )
        if keeps:
            bodies = {f"{m}.json": canonical(answer).encode() for m, answer in written.items()}
            check(cache)
            keep(cache, bodies)
        found |= written
        lab.report("answers", len(found), len(drafts))
    return [[found[m] for m in own] for own in marks]


def _mark(known: bytes, draft: Draft) -> str:
    """The SHA-256 of all that decides an answer; a boost of 0 is not taken for no steering."""
    mark = hashlib.sha256(known)
    mark.update(tokens_hash([draft.encoded]).encode())
    mark.update(json.dumps([draft.seed, draft.steered_tokens]).encode())
    for step in draft.arm.steps:
        mark.update(json.dumps([step.block, step.strength, step.operator, step.scope]).encode())
        mark.update(_bytes(step.direction))
    for h in draft.holds:
        mark.update(json.dumps([h.block, list(h.latents), h.value, _sae_mark(h.sae)]).encode())
    return mark.hexdigest()


@lru_cache(maxsize=8)
def _sae_mark(sae: Sae) -> str:
    how = [sae.activation, sae.apply_b_dec_to_input, sae.k]
    mark = hashlib.sha256(json.dumps(how).encode())
    for tensor in tensors_of(sae).values():
        mark.update(_bytes(tensor))
    return mark.hexdigest()


def _bytes(tensor: Tensor) -> bytes:
    return tensor.detach().cpu().contiguous().numpy().tobytes()


def _read(file: Path) -> Continuation | None:
    try:
        found = from_plain(Continuation, json.loads(file.read_text(encoding="utf-8")))
    except (*ABSENT, ValueError):
        return None
    used_now(file)
    return found
