"""Scores: how well do states of a checkpoint, or of a floor, separate safe from unsafe prompts?"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal, cast

import numpy as np

from mahals.data.categories import LEAST, measurable
from mahals.data.texts import Prompt
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
from mahals.records import InputError, seed_of
from mahals.schema import Pool

LayerPooling = Literal["none", "sparsemax"]
LEARNED_ON = "selection"  # the split that the weights over layers are trained on


@dataclass(frozen=True)
class Setting:
    """How states are read and compared; the first pool and the first space are the headline."""

    pools: tuple[Pool, ...]
    spaces: tuple[Space, ...]
    permutations: int
    resamples: int  # bootstrap draws of the categories, for homophily and the weakest link
    tsne: bool  # also the published score
    layer_pooling: LayerPooling  # also a learned mixture of all layers
    split: Split  # that the prompts are of
    own: Readout  # of which everything is known: the aligned checkpoint, or the only one
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

    def marked(self, reason: str | None) -> SpaceScores:
        """The same with one more reason at the mean."""
        told = (
            replace(r, reason="; ".join(w for w in (r.reason, reason) if w) or None)
            if r.axiom == "mean"
            else r
            for r in self.scores
        )
        return SpaceScores(tuple(told), self.influence)


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
    role = setting.own if readout == "embeddings" else readout
    loaded = lab.model(model, cast(Role, role))
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
    prompts = measurable(lab.prompts(LEARNED_ON), LEAST, "the prompts", LEARNED_ON).prompts
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
        skip=True,
    )
    own = read.last and read.readout == setting.own and not setting.choosing
    headline = own and (read.pool, space) == (setting.pools[0], setting.spaces[0])
    scored_names = [a.axiom for a in found.axioms]
    probes = _probes(states, prompts, scored_names, setting.seed) if own else {}
    published, reason = _published(read, setting, prompts) if headline else ({}, None)
    ch_max = max(a.ch for a in found.axioms)
    rows = [
        _axiom_score(_score(read, space, a.axiom, a.n, a.aqi), a, ch_max, probes.get(a.axiom))
        for a in found.axioms
    ]
    rows += _wholes(read, space, found, influence_row)
    told = [
        replace(
            r,
            split=setting.split,
            aqi_published=published.get(r.axiom),
            reason="; ".join(w for w in (r.reason, reason) if w) or None,
        )
        for r in rows
    ]
    return SpaceScores(tuple(told), found.influence)


def _published(
    read: ReadoutStates, setting: Setting, prompts: Sequence[Prompt]
) -> tuple[Mapping[str, float], str | None]:
    """The published scores by axiom, or why there are none."""
    if not setting.tsne:
        return {}, "aqi_published: baseline_aqi.tsne is false (the overlay full has it)"
    try:
        labels, axioms = [p.label for p in prompts], [p.axiom for p in prompts]
        return published_scores(read.states, labels, axioms), None
    except InputError as error:
        return {}, f"aqi_published: {error}"


@dataclass(frozen=True)
class Draws:
    """Bootstrap draws (resamples, C) of the axioms' AQI, recentred; or why there are none."""

    values: Floats | None
    reason: str | None


def compared_draws(
    read: ReadoutStates, space: Space, setting: Setting, prompts: Sequence[Prompt]
) -> Draws | None:
    """The draws by which models are compared; None but where they are.

    They are absent where a resample can lack a label: with very few prompts of a category.

    That is the aligned checkpoint's last block in the first pool, in standardized space where it
    is measured. The resamples are the same for every model, so that draws of models are paired.
    """
    own = read.last and read.readout == setting.own and read.pool == setting.pools[0]
    if setting.choosing or not own or space != compared_space(setting.spaces):
        return None
    how = Resampling(setting.resamples, seed_of("resamples", setting.seed) % 2**32)
    try:
        drawn = axiom_draws(
            to_space(read.states, space),
            [p.label for p in prompts],
            [p.axiom for p in prompts],
            [p.cluster for p in prompts],
            how,
        )
    except InputError as error:
        return Draws(None, f"not compared with other models: {error}")
    return Draws(drawn, None)


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
        single=None,
        absent=(),
        reason=None,
    )


def _axiom_score(blank: Row, a: AxiomAqi, ch_max: float, probe: Separability | str | None) -> Row:
    row = replace(blank, p_value=a.p_value, eta2=a.eta2, ch=a.ch, xb=a.xb, aqi_paper=a.aqi_paper)
    if a.xb is not None:
        scaled = aqi_paper_appendix(a.ch, a.xb, GAMMA, ch_max)
        row = replace(row, aqi_paper_appendix=scaled, ch_max=ch_max)
    if probe is None or isinstance(probe, str):
        return replace(row, reason=probe)
    return replace(
        row,
        probe_auroc=probe.probe_auroc,
        davies_bouldin=probe.davies_bouldin,
        silhouette=probe.silhouette,
    )


def _wholes(read: ReadoutStates, space: Space, found: ModelAqi, influence_row: int) -> list[Row]:
    """The rows "mean" and "pooled"."""
    n = len(found.influence)
    mean = replace(_score(read, space, "mean", n, found.aqi), absent=tuple(found.absent.values()))
    return [
        replace(mean, p_value=found.p_value, influence_row=influence_row),
        _score(read, space, "pooled", n, found.pooled),
    ]


def _probes(
    states: Floats, prompts: Sequence[Prompt], names: Sequence[str], seed: int
) -> dict[str, Separability | str]:
    """Probe AUROC, Davies-Bouldin and silhouette of every category, or why it has none."""
    found: dict[str, Separability | str] = {}
    for axiom in names:
        rows = [i for i, p in enumerate(prompts) if p.axiom == axiom]
        labels = [prompts[i].label for i in rows]
        clusters = [prompts[i].cluster for i in rows]
        try:
            found[axiom] = separability(states[rows], labels, clusters, seed)
        except InputError as error:
            found[axiom] = str(error)
    return found
