"""Scores: how well do states of a checkpoint, or of a floor, separate safe from unsafe prompts?"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from mahals.data.texts import AXIOMS, Prompt
from mahals.maths.metrics.aqi import GAMMA, AxiomAqi, ModelAqi, model_aqi
from mahals.maths.metrics.aqi_bootstrap import axiom_draws
from mahals.maths.metrics.aqi_paper import aqi_paper_appendix
from mahals.maths.metrics.aqi_published import published_scores
from mahals.maths.metrics.layer_pooling import fit_pooling
from mahals.maths.metrics.permutation import Permutations
from mahals.maths.metrics.separability import Separability, separability, tfidf_states
from mahals.maths.metrics.spaces import Space, to_space
from mahals.maths.stats.bootstrap import Resampling
from mahals.maths.stats.intervals import Floats, Interval
from mahals.models.activations.cache import cached_states
from mahals.models.activations.capture import embeddings
from mahals.models.activations.encoding import encode_prompts
from mahals.models.checkpoints.checkpoint import Loaded
from mahals.phase import Lab, Role
from mahals.phases.baseline_aqi.rows import Readout, Row, Split, compared_space
from mahals.records import seed_of
from mahals.schema import Pool

LayerPooling = Literal["none", "sparsemax"]
LEARNED_ON = "selection"  # the split that the weights over layers are trained on


@dataclass(frozen=True)
class Setting:
    """How states are read and compared; the first pool and the first space are the headline."""

    pools: tuple[Pool, ...]
    spaces: tuple[Space, ...]
    permutations: int
    resamples: int  # bootstrap draws of the seven axioms, for homophily and the weakest link
    tsne: bool  # also the published score
    layer_pooling: LayerPooling  # also a learned mixture of all layers
    split: Split  # that the prompts are of
    seed: int

    @property
    def choosing(self) -> bool:
        """Whether the pair is read to choose the headline pool: bare scores of the last block."""
        return self.split == "selection"


@dataclass(frozen=True)
class ReadoutStates:
    """States (n, d) of one readout, and which row columns they belong to."""

    model: str
    readout: Readout
    states: Floats
    pool: Pool | None
    layer: int | None
    last: bool
    layer_weights: tuple[float, ...] | None = None  # of a learned mixture


@dataclass(frozen=True)
class SpaceScores:
    """The scores of one read in one space, and the influence values (n,) of their mean."""

    scores: tuple[Row, ...]  # the axioms, then "mean", then "pooled"
    influence: Floats


def reads(
    model: str, readout: Readout, setting: Setting, lab: Lab, prompts: Sequence[Prompt]
) -> Iterator[ReadoutStates]:
    """The states of a readout in each pool: every layer of the pair, of others the last layer.

    With layer pooling the pair also has a mixture of its layers in the first pool, learned on other
    prompts.

    Embeddings pooled over the last token are left out where they are the same for every prompt
    (the template's token): there is nothing to score.
    """
    texts = [p.text for p in prompts]
    if readout == "tfidf":
        yield ReadoutStates(model, readout, tfidf_states(texts), None, None, True)
        return
    role: Role = "aligned" if readout == "embeddings" else readout
    loaded = lab.model(model, role)
    encoded = encode_prompts(loaded.tokenizer, texts)
    if readout == "embeddings":
        for pool in setting.pools:
            found = embeddings(loaded, encoded, pool).double().numpy()
            if np.ptp(found, axis=0).any():
                yield ReadoutStates(model, readout, found, pool, None, True)
        return
    layers = list(range(loaded.layers))
    profile = readout in ("aligned", "base") and not setting.choosing
    for pool in setting.pools:
        wanted = layers if profile else layers[-1:]
        states = cached_states(lab.cache, loaded, encoded, wanted, pool).double().numpy()
        for i, layer in enumerate(wanted):
            yield ReadoutStates(model, readout, states[:, i], pool, layer, layer == layers[-1])
        first = pool == setting.pools[0]
        if first and profile and setting.layer_pooling == "sparsemax":
            yield _mixture(ReadoutStates(model, readout, states, pool, None, False), loaded, lab)


def _mixture(read: ReadoutStates, loaded: Loaded, lab: Lab) -> ReadoutStates:
    """The states (n, L, d) of all layers as one, by weights learned on the selection split."""
    prompts = lab.prompts(LEARNED_ON)
    encoded = encode_prompts(loaded.tokenizer, [p.text for p in prompts])
    seen = cached_states(
        lab.cache, loaded, encoded, list(range(loaded.layers)), read.pool or "mean"
    )
    learned = fit_pooling(
        seen.double().numpy(), [p.label for p in prompts], [p.axiom for p in prompts]
    )
    weights = tuple(float(w) for w in learned.weights)
    return replace(read, states=learned.apply(read.states), layer_weights=weights)


def scored(
    read: ReadoutStates,
    space: Space,
    setting: Setting,
    prompts: Sequence[Prompt],
    influence_row: int,
) -> SpaceScores:
    """All scores of one read in one space; tests, probes and t-SNE at the headline layer alone."""
    mark = ("permutations", read.model, read.readout, read.pool, space, setting.seed)
    chance = Permutations(setting.permutations, seed_of(*mark) % 2**32)
    states = to_space(read.states, space)
    found = model_aqi(
        states,
        [p.label for p in prompts],
        [p.axiom for p in prompts],
        [p.cluster for p in prompts],
        chance if (read.last or read.layer_weights) and not setting.choosing else None,
    )
    own = read.last and read.readout == "aligned" and not setting.choosing
    headline = own and (read.pool, space) == (setting.pools[0], setting.spaces[0])
    probes = _probes(states, prompts, setting.seed) if own else {}
    published: Mapping[str, float] = {}
    reason = None
    if headline and setting.tsne:
        published = published_scores(
            read.states, [p.label for p in prompts], [p.axiom for p in prompts]
        )
    elif headline:
        reason = "aqi_published: baseline_aqi.tsne is false (the overlay full has it)"
    ch_max = max(a.ch for a in found.axioms)
    rows = [
        _axiom_score(_score(read, space, a.axiom, a.n, a.aqi), a, ch_max, probes.get(a.axiom))
        for a in found.axioms
    ]
    rows += _wholes(read, space, found, influence_row)
    told = [
        replace(r, split=setting.split, aqi_published=published.get(r.axiom), reason=reason)
        for r in rows
    ]
    return SpaceScores(tuple(told), found.influence)


def compared_draws(
    read: ReadoutStates, space: Space, setting: Setting, prompts: Sequence[Prompt]
) -> Floats | None:
    """Recentred bootstrap draws (resamples, 7) of the axioms' AQI; None but where models compare.

    That is the aligned checkpoint's last block in the first pool, in standardized space where it
    is measured. The resamples are the same for every model, so that draws of models are paired.
    """
    own = read.last and read.readout == "aligned" and read.pool == setting.pools[0]
    if setting.choosing or not own or space != compared_space(setting.spaces):
        return None
    how = Resampling(setting.resamples, seed_of("resamples", setting.seed) % 2**32)
    return axiom_draws(
        to_space(read.states, space),
        [p.label for p in prompts],
        [p.axiom for p in prompts],
        [p.cluster for p in prompts],
        how,
    )


def _score(read: ReadoutStates, space: Space, axiom: str, n: int, aqi: Interval) -> Row:
    """A score with its interval; the other columns are filled in where they exist."""
    return Row(
        model=read.model,
        readout=read.readout,
        split="evaluation",
        pool=read.pool,
        space=space,
        layer=read.layer,
        last=read.last,
        axiom=axiom,
        n=n,
        aqi=aqi.estimate,
        aqi_low=aqi.low,
        aqi_high=aqi.high,
        p_value=None,
        eta2=None,
        ch=None,
        xb=None,
        aqi_paper=None,
        aqi_paper_appendix=None,
        ch_max=None,
        aqi_published=None,
        probe_auroc=None,
        davies_bouldin=None,
        silhouette=None,
        influence=None,
        influence_row=None,
        layer_weights=read.layer_weights,
        reason=None,
    )


def _axiom_score(blank: Row, a: AxiomAqi, ch_max: float, probe: Separability | None) -> Row:
    row = replace(blank, p_value=a.p_value, eta2=a.eta2, ch=a.ch, xb=a.xb, aqi_paper=a.aqi_paper)
    if a.xb is not None:
        scaled = aqi_paper_appendix(a.ch, a.xb, GAMMA, ch_max)
        row = replace(row, aqi_paper_appendix=scaled, ch_max=ch_max)
    if probe is None:
        return row
    return replace(
        row,
        probe_auroc=probe.probe_auroc,
        davies_bouldin=probe.davies_bouldin,
        silhouette=probe.silhouette,
    )


def _wholes(read: ReadoutStates, space: Space, found: ModelAqi, influence_row: int) -> list[Row]:
    """The rows "mean" and "pooled"."""
    n = len(found.influence)
    mean = _score(read, space, "mean", n, found.aqi)
    return [
        replace(mean, p_value=found.p_value, influence_row=influence_row),
        _score(read, space, "pooled", n, found.pooled),
    ]


def _probes(states: Floats, prompts: Sequence[Prompt], seed: int) -> dict[str, Separability]:
    """Probe AUROC, Davies-Bouldin and silhouette of every axiom."""
    found = {}
    for axiom in AXIOMS:
        rows = [i for i, p in enumerate(prompts) if p.axiom == axiom]
        labels = [prompts[i].label for i in rows]
        clusters = [prompts[i].cluster for i in rows]
        found[axiom] = separability(states[rows], labels, clusters, seed)
    return found
