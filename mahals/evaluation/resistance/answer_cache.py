"""Answer cache: was this written before, by the same model, steps, holds and seed?"""

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
from mahals.records import canonical, digest, from_plain

AT_ONCE = 96  # answers that are written together: what a kill can cost
_MODELS = Path(__file__).parents[2] / "models"
_WRITING = ("generation/sampling.py", "generation/decoding.py")
CODE = hash_of(
    *(_MODELS / p for p in (*_WRITING, "steering", "saes", "activations", "checkpoints"))
)


def cached_answers(
    lab: Lab, loaded: Loaded, cells: Sequence[Sequence[Draft]], sampling: Sampling
) -> list[list[Continuation]]:
    """What `sample` gives for the drafts of each cell, from the lab's cache where it is.

    A draft that several cells or phases have is written once.
    """
    cache, keeps = lab.cache, lab.cache.limit > 0
    known = digest([facts(loaded), sampling, stop_ids(loaded), CODE])
    marks = [[_mark(known, d) for d in drafts] for drafts in cells]
    drafts = dict(zip(chain(*marks), chain(*cells), strict=True))
    read = {m: _read(cache.folder / f"{m}.json") for m in drafts if keeps}
    found = {m: answer for m, answer in read.items() if answer is not None}
    waiting = [m for m in drafts if m not in found]
    for at in range(0, len(waiting), AT_ONCE):
        group = waiting[at : at + AT_ONCE]
        answers = sample(loaded, [drafts[m] for m in group], sampling)
        written = dict(zip(group, answers, strict=True))
        if keeps:
            check(cache)
            keep(cache, {f"{m}.json": canonical(a).encode() for m, a in written.items()})
        found |= written
        lab.report("answers", len(found), len(drafts))
    return [[found[m] for m in own] for own in marks]


def _mark(known: str, draft: Draft) -> str:
    """The SHA-256 of all that decides an answer; a boost of 0 is not taken for no steering."""
    arm = draft.arm.steps
    steps = [(s.block, s.strength, s.operator, s.scope, _bytes_mark(s.direction)) for s in arm]
    holds = [(h.block, h.latents, h.value, _sae_mark(h.sae)) for h in draft.holds]
    asked = (tokens_hash([draft.encoded]), draft.seed, draft.steered_tokens)
    return digest([known, *asked, steps, holds])


@lru_cache(maxsize=8)
def _sae_mark(sae: Sae) -> str:
    how = [sae.activation, sae.apply_b_dec_to_input, sae.k]
    return digest([*how, _bytes_mark(*tensors_of(sae).values())])


def _bytes_mark(*tensors: Tensor) -> str:
    mark = hashlib.sha256()
    for tensor in tensors:
        mark.update(tensor.detach().cpu().contiguous().numpy().tobytes())
    return mark.hexdigest()


def _read(file: Path) -> Continuation | None:
    try:
        found = from_plain(Continuation, json.loads(file.read_text("utf-8")))
    except (*ABSENT, ValueError):
        return None
    used_now(file)
    return found
