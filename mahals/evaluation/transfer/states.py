"""Paired states: what are those of two models on the texts that maps between them are fitted on?"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from mahals.data.categories import categories_of
from mahals.maths.stats.intervals import Floats
from mahals.maths.transfer.cka import debiased_cka
from mahals.maths.transfer.layers import LayerMatch, match_by_cka, match_layer
from mahals.models.activations.cache import cached_states
from mahals.models.activations.encoding import encode_prompts, encode_texts
from mahals.models.checkpoints.checkpoint import Loaded
from mahals.phase import Lab, Role
from mahals.records import InputError
from mahals.schema import Pool

SPLIT = "mapping"
READ_AT_ONCE = 12  # sets of states that stay in memory
TOPICS = 2  # categories whose safe prompts differ in topic and not in safety: the first ones


@dataclass(frozen=True)
class TextReading:
    """How mapping texts are read: where the vector was read, and which blocks meet."""

    pool: Pool
    layer_match: LayerMatch


@dataclass(frozen=True)
class Pairing:
    """Which source block meets each steered block of the target, and the states of both there.

    The texts are the mapping split's prompts in chat form, then its neutral texts: disjoint from
    the steering pairs, in the region where the vector acts and outside it (METHOD 3).
    """

    blocks: Mapping[int, int]  # target block -> source block
    sides: Mapping[int, tuple[Floats, Floats]]  # target block -> source and target states (n, d)
    clusters: tuple[str, ...]  # (n,): a prompt's own cluster, a neutral text its own
    cka: float  # of the last target block and its source block, over all texts
    prompt_cka: float  # the same over the prompts alone


def read_pool(lab: Lab, key: str, method: str) -> Pool:
    """At which position the kept vectors of a model by `method` were read."""
    pools: list[Pool] = [r.pool for r in lab.rows("steering_vectors", key) if r.method == method]
    return pools[0]


def pair_blocks(
    how: TextReading, source: str, target: tuple[str, Role], blocks: Sequence[int], lab: Lab
) -> Pairing:
    """The blocks of the source's base model that meet `blocks` of the target (key, role).

    By relative depth, or each by the highest debiased linear CKA over all blocks of the source.
    """
    theirs, ours = lab.model(source, "base"), lab.model(target[0], target[1])
    mine = _states(ours, tuple(sorted(blocks)), how.pool, lab)
    if how.layer_match == "cka":
        every = _states(theirs, tuple(range(theirs.layers)), how.pool, lab)
        candidates = [every[b] for b in range(theirs.layers)]
        met = {t: match_by_cka(candidates, mine[t]).block for t in blocks}
    else:
        met = {t: match_layer(t, ours.layers, theirs.layers) for t in blocks}
        every = _states(theirs, tuple(sorted(set(met.values()))), how.pool, lab)
    prompts = [p.cluster for p in lab.prompts(SPLIT)]
    count = len(prompts)
    last = every[met[max(blocks)]], mine[max(blocks)]
    return Pairing(
        met,
        {t: (every[s], mine[t]) for t, s in met.items()},
        (*prompts, *(f"text {i}" for i in range(len(last[0]) - count))),
        debiased_cka(*last),
        debiased_cka(last[0][:count], last[1][:count]),
    )


def state_lengths(loaded: Loaded, blocks: Sequence[int], pool: Pool, lab: Lab) -> dict[int, float]:
    """The mean length of a model's states after each block, over the mapping texts."""
    found = _states(loaded, tuple(sorted(blocks)), pool, lab)
    return {b: float(np.linalg.norm(found[b], axis=1).mean()) for b in blocks}


def topic_vectors(how: TextReading, source: str, pairing: Pairing, lab: Lab) -> dict[int, Floats]:
    """A direction of topic (d_s,) at each matched block of the source's base model.

    The mean state of the safe prompts of one category minus that of another's, extraction split,
    read where the vector was. Raises InputError where fewer than two categories have safe prompts.
    """
    loaded = lab.model(source, "base")
    layers = sorted(set(pairing.blocks.values()))
    means = []
    safe = [p for p in lab.prompts("extraction") if p.label == 1]
    topics = categories_of(safe)[:TOPICS]
    if len(topics) < TOPICS:
        raise InputError(
            "cross_arch.controls",
            expected=f"safe extraction prompts of {TOPICS} categories, for `unrelated`",
            got=", ".join(topics) or "none",
            cure="leave unrelated out of cross_arch.controls, or use data with more categories",
        )
    for topic in topics:
        texts = [p.text for p in safe if p.axiom == topic]
        encoded = encode_prompts(loaded.tokenizer, texts)
        found = cached_states(lab.cache, loaded, encoded, layers, how.pool)
        means.append(found.double().mean(dim=0).numpy())
    return {layer: np.asarray(means[0][i] - means[1][i]) for i, layer in enumerate(layers)}


_READ: OrderedDict[tuple[str, str, str, Pool, tuple[int, ...]], dict[int, Floats]] = OrderedDict()
"""The last mapping states this process read, by model and revision, data, pool and blocks."""


def _states(loaded: Loaded, layers: tuple[int, ...], pool: Pool, lab: Lab) -> dict[int, Floats]:
    mark = (loaded.key, loaded.revision, lab.data_digest, pool, layers)
    if mark not in _READ:
        texts = encode_prompts(loaded.tokenizer, [p.text for p in lab.prompts(SPLIT)])
        texts += encode_texts(loaded.tokenizer, lab.neutral(SPLIT))
        states = cached_states(lab.cache, loaded, texts, list(layers), pool).double().numpy()
        _READ[mark] = {layer: states[:, i] for i, layer in enumerate(layers)}
        while len(_READ) > READ_AT_ONCE:
            _READ.popitem(last=False)
    return _READ[mark]
