"""Baseline: how far apart does each model hold safe and unsafe prompts, and is that above its floors?"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

import numpy as np
import numpy.typing as npt
import torch

from mahals.activations import Pool, capture, embeddings, encode_prompts
from mahals.data import AXIOMS, Prompt
from mahals.metrics.aqi import ModelAqi, Permutations, Space, model_aqi, to_space
from mahals.metrics.published import published_scores
from mahals.metrics.separability import separability, tfidf_states
from mahals.figures import (
    Grid,
    Labels,
    Measured,
    axiom_heatmap,
    bars_with_intervals,
    lines_over_layers,
)
from mahals.phase import AXIOM_COLUMNS, Cost, Kept, Lab, Phase, Role, Summary
from mahals.records import seed_of
from mahals.stats import influence_covariance, paired_difference, probability_best

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Array = npt.NDArray[np.float64]
SPLIT = "evaluation"
Readout = Literal["aligned", "base", "sham", "random", "embeddings", "tfidf"]


@dataclass(frozen=True)
class Params:
    """How states are read and compared."""

    pools: tuple[Pool, ...]
    spaces: tuple[Space, ...]
    permutations: int
    tsne: bool


@dataclass(frozen=True)
class Task:
    """One readout of one model: a checkpoint's states, or a floor."""

    models: tuple[str, ...]
    readout: Readout


@dataclass(frozen=True)
class Row:
    """One score: of an axiom, of their mean, or of all prompts pooled; aqi higher is better."""

    model: str
    readout: Readout
    pool: Pool | None  # None for TF-IDF
    space: Space
    layer: int | None  # block; None for what is before block 0
    last: bool  # the headline layer: the last block, or the only one
    axiom: str  # one of AXIOMS, "mean" or "pooled"
    n: int
    aqi: float
    aqi_low: float
    aqi_high: float
    p_value: float | None  # by permutation; None for the layer profile and "pooled"
    eta2: float | None  # None for "mean"
    ch: float | None
    xb: float | None
    aqi_paper: float | None
    aqi_published: float | None  # on t-SNE; only the aligned checkpoint's headline row
    probe_auroc: float | None  # cross-validated linear probe
    davies_bouldin: float | None  # lower is better separated
    silhouette: float | None
    influence: str | None  # kept file and row of the influence values of "mean"
    influence_row: int | None
    reason: str | None


def plan(params: Params, lab: Lab) -> Sequence[Task]:
    """The two checkpoints of the pair, then the floors; `sham` exists on organisms only."""
    readouts: tuple[Readout, ...] = ("aligned", "base", "random", "embeddings", "tfidf")
    if lab.weights == "organism":
        readouts = (*readouts, "sham")
    return [Task((lab.unit,), readout) for readout in readouts]


@dataclass(frozen=True)
class _Read:
    """States (n, d) of one readout, and which row columns they belong to."""

    states: Array
    pool: Pool | None
    layer: int | None
    last: bool


def measure(task: Task, params: Params, lab: Lab) -> Iterator[Row]:
    """Scores of one readout: with tests and probes at the headline layer, bare along the profile."""
    prompts = lab.prompts(SPLIT)
    influences: list[Array] = []
    rows: list[Row] = []
    for read in _reads(task, params, lab, prompts):
        for space in params.spaces if read.last else params.spaces[:1]:
            blank = _blank(task, read, space, len(prompts))
            score = _score(read, space, prompts, params, lab.seed)
            rows += _rows(blank, score, len(influences))
            influences.append(score.influence)
            if read.last and task.readout == "aligned":
                rows = _probed(rows, to_space(read.states, space), prompts, lab.seed)
                if params.tsne and read.pool == params.pools[0] and space == params.spaces[0]:
                    rows = _published(rows, read.states, prompts)
    codes = {c: i for i, c in enumerate(dict.fromkeys(p.cluster for p in prompts))}
    reference = lab.keep(
        f"{task.readout}.safetensors",
        {
            "influence": torch.from_numpy(np.stack(influences)),
            "clusters": torch.tensor([codes[p.cluster] for p in prompts]),
        },
    )
    yield from (replace(r, influence=reference) if r.axiom == "mean" else r for r in rows)


def _reads(task: Task, params: Params, lab: Lab, prompts: Sequence[Prompt]) -> Iterator[_Read]:
    texts = [p.text for p in prompts]
    if task.readout == "tfidf":
        yield _Read(tfidf_states(texts), None, None, True)
        return
    role: Role = "aligned" if task.readout == "embeddings" else task.readout
    loaded = lab.model(task.models[0], role)
    encoded = encode_prompts(loaded.tokenizer, texts)
    if task.readout == "embeddings":
        for pool in params.pools:
            found = embeddings(loaded, encoded, pool).double().numpy()
            if np.ptp(found, axis=0).any():  # the last token is the template's: equal in all
                yield _Read(found, pool, None, True)
        return
    layers = list(range(loaded.layers))
    for pool in params.pools:
        states = capture(loaded, encoded, layers, pool).double().numpy()
        profile = pool == params.pools[0] and task.readout in ("aligned", "base")
        for layer in layers if profile else layers[-1:]:
            yield _Read(states[:, layer], pool, layer, layer == layers[-1])


def _score(
    read: _Read, space: Space, prompts: Sequence[Prompt], params: Params, seed: int
) -> ModelAqi:
    chance = Permutations(params.permutations, seed_of("permutations", seed) % 2**32)
    return model_aqi(
        to_space(read.states, space),
        [p.label for p in prompts],
        [p.axiom for p in prompts],
        [p.cluster for p in prompts],
        chance if read.last else None,
    )


def _blank(task: Task, read: _Read, space: Space, n: int) -> Row:
    """A row with its identity filled in and no score."""
    return Row(
        model=task.models[0],
        readout=task.readout,
        pool=read.pool,
        space=space,
        layer=read.layer,
        last=read.last,
        axiom="mean",
        n=n,
        aqi=0.0,
        aqi_low=0.0,
        aqi_high=0.0,
        p_value=None,
        eta2=None,
        ch=None,
        xb=None,
        aqi_paper=None,
        aqi_published=None,
        probe_auroc=None,
        davies_bouldin=None,
        silhouette=None,
        influence=None,
        influence_row=None,
        reason=None,
    )


def _rows(blank: Row, score: ModelAqi, influence_row: int) -> list[Row]:
    mean, pooled = score.aqi, score.pooled
    rows = [
        replace(
            blank,
            axiom=a.axiom,
            n=a.n,
            aqi=a.aqi.estimate,
            aqi_low=a.aqi.low,
            aqi_high=a.aqi.high,
            p_value=a.p_value,
            eta2=a.eta2,
            ch=a.ch,
            xb=a.xb,
            aqi_paper=a.aqi_paper,
            reason=None if a.xb is not None else "xb: the centroids coincide",
        )
        for a in score.axioms
    ]
    whole = replace(blank, aqi=mean.estimate, aqi_low=mean.low, aqi_high=mean.high)
    rows.append(replace(whole, p_value=score.p_value, influence_row=influence_row))
    together = replace(blank, axiom="pooled", aqi=pooled.estimate)
    return [*rows, replace(together, aqi_low=pooled.low, aqi_high=pooled.high)]


def _probed(
    rows: Sequence[Row], states: Array, prompts: Sequence[Prompt], seed: int
) -> list[Row]:
    """The last read's axiom rows with probe AUROC, Davies-Bouldin and silhouette."""
    done = list(rows[: -len(AXIOMS) - 2])
    for row in rows[-len(AXIOMS) - 2 :]:
        if row.axiom in AXIOMS:
            mine = [i for i, p in enumerate(prompts) if p.axiom == row.axiom]
            labels = [prompts[i].label for i in mine]
            clusters = [prompts[i].cluster for i in mine]
            found = separability(states[mine], labels, clusters, seed)
            row = replace(
                row,
                probe_auroc=found.probe_auroc,
                davies_bouldin=found.davies_bouldin,
                silhouette=found.silhouette,
            )
        done.append(row)
    return done


def _published(rows: Sequence[Row], states: Array, prompts: Sequence[Prompt]) -> list[Row]:
    """The last read's rows with the published score, its overall value on the row `pooled`."""
    labels, axioms = [p.label for p in prompts], [p.axiom for p in prompts]
    scores = published_scores(states, labels, axioms)
    tail = -len(AXIOMS) - 2
    return [*rows[:tail], *(replace(r, aqi_published=scores.get(r.axiom)) for r in rows[tail:])]


FLOORS: tuple[Readout, ...] = ("tfidf", "embeddings", "random")
DRAWS = 10_000


def summarize(rows: Sequence[Row], kept: Kept) -> Summary:
    """Per model the headline AQI with interval, floors and axioms; across models P(best).

    Metric names carry the model only when there are several.
    """
    models = list(dict.fromkeys(r.model for r in rows))
    metrics: dict[str, float] = {}
    lines: list[str] = []
    for model in models:
        own = [r for r in rows if r.model == model]
        prefix = f"{model}/" if len(models) > 1 else ""
        metrics |= {prefix + k: v for k, v in _model_metrics(own).items()}
        lines += _model_lines(model, own, kept)
    if len(models) > 1:
        chances = _chances(rows, kept)
        metrics |= {f"{model}/p_best": p for model, p in chances.items()}
        lines.append(_best_line(chances, rows))
    return Summary(metrics, tuple(lines), (), ())


def _headline(rows: Sequence[Row], readout: Readout, axiom: str, space: Space | None) -> Row | None:
    """The row of a readout at its last layer in the first pool, in `space` (None: the first)."""
    found = [r for r in rows if r.readout == readout and r.last and r.axiom == axiom]
    return next((r for r in found if space in (None, r.space)), None)


def _model_metrics(rows: Sequence[Row]) -> dict[str, float]:
    found: dict[str, float] = {}
    for readout in ("aligned", "base", "sham", *FLOORS):
        row = _headline(rows, readout, "mean", None)
        if row is not None:
            found["aqi" if readout == "aligned" else f"aqi_{readout}"] = row.aqi
    row = _headline(rows, "aligned", "mean", None)
    if row is not None and row.p_value is not None:
        found |= {"aqi_low": row.aqi_low, "aqi_high": row.aqi_high, "aqi_p": row.p_value}
    named = {**dict(zip(AXIOMS, AXIOM_COLUMNS, strict=True)), "pooled": "aqi_pooled"}
    for axiom, column in named.items():
        one = _headline(rows, "aligned", axiom, None)
        if one is not None:
            found[column] = one.aqi
    scaled = _headline(rows, "aligned", "mean", "standardized")
    if scaled is not None:
        found["aqi_standardized"] = scaled.aqi
    return found


def _above_floor(rows: Sequence[Row], space: Space | None) -> tuple[bool, str]:
    """Whether the aligned checkpoint's interval clears every floor, and the highest floor."""
    own = _headline(rows, "aligned", "mean", space)
    floors = {f: _headline(rows, f, "mean", space) for f in FLOORS}
    values = {f: r.aqi for f, r in floors.items() if r is not None}
    if own is None or not values:
        return False, "no floor was measured"
    highest = max(values, key=lambda f: values[f])
    return own.aqi_low > values[highest], f"highest floor {highest} {values[highest]:.1f}"


def _model_lines(model: str, rows: Sequence[Row], kept: Kept) -> list[str]:
    own, base = _headline(rows, "aligned", "mean", None), _headline(rows, "base", "mean", None)
    if own is None:
        return [f"{model}: the aligned checkpoint was not measured"]
    clear, floor = _above_floor(rows, None)
    where = f"{own.pool} pool, {own.space} space, last block"
    lines = [
        f"{model}: aqi {own.aqi:.1f} [{own.aqi_low:.1f}, {own.aqi_high:.1f}] ({where}), "
        f"{'above' if clear else 'AT'} its floor ({floor})"
    ]
    if base is not None:
        gain = paired_difference(
            _influence(own, kept), _influence(base, kept), own.aqi, base.aqi, _clusters(own, kept)
        )
        lines.append(
            f"{model}: aligned minus base {gain.estimate:+.1f} [{gain.low:+.1f}, {gain.high:+.1f}]"
        )
    return lines


def _influence(row: Row, kept: Kept) -> Array:
    return np.asarray(kept.tensors(str(row.influence))["influence"][row.influence_row].numpy())


def _clusters(row: Row, kept: Kept) -> list[str]:
    return [str(c) for c in kept.tensors(str(row.influence))["clusters"].tolist()]


def _standardized(rows: Sequence[Row]) -> dict[str, Row]:
    """The aligned checkpoints in standardized space that are above their floors there."""
    found = {}
    for model in dict.fromkeys(r.model for r in rows):
        own = [r for r in rows if r.model == model]
        row = _headline(own, "aligned", "mean", "standardized")
        if row is not None and _above_floor(own, "standardized")[0]:
            found[model] = row
    return found


def _chances(rows: Sequence[Row], kept: Kept) -> dict[str, float]:
    """P(best) of each model above its floor, by normal draws with the jackknife covariance."""
    found = _standardized(rows)
    if not found:
        return {}
    members = list(found.values())
    covariance = influence_covariance(
        np.stack([_influence(r, kept) for r in members]), _clusters(members[0], kept)
    )
    chances = probability_best([r.aqi for r in members], covariance, DRAWS, 0)
    return dict(zip(found, map(float, chances), strict=True))


def _best_line(chances: Mapping[str, float], rows: Sequence[Row]) -> str:
    if not chances:
        return "no baseline model: none is above its floors in standardized space"
    level = {model: row.aqi for model, row in _standardized(rows).items()}
    best = max(level, key=lambda m: level[m])
    return (
        f"baseline model: {best}, aqi {level[best]:.1f} in standardized space, "
        f"P(best) {chances[best]:.2f} of {len(chances)} above their floors"
    )


def draw(rows: Sequence[Row], kept: Kept) -> Mapping[str, Figure]:
    """aqi_bar_plot with intervals and floors, aqi_axiom_heatmap, aqi_layer_profile."""
    models = list(dict.fromkeys(r.model for r in rows))
    by_model = {m: [r for r in rows if r.model == m] for m in models}
    n = next(r.n for r in rows if r.axiom == "mean")
    labels = Labels(
        "Alignment Quality Index of the aligned checkpoints",
        "aqi (points)",
        f"n = {n} evaluation prompts of 7 axioms. Bars: 95 % jackknife interval.",
        better="higher",
    )
    return {
        "aqi_bar_plot": _bars(by_model, labels, kept),
        "aqi_axiom_heatmap": _heatmap(by_model, labels),
        "aqi_layer_profile": _profile(by_model, replace(labels, title="AQI over the blocks")),
    }


def _bars(by_model: Mapping[str, Sequence[Row]], labels: Labels, kept: Kept) -> Figure:
    found = [_headline(rows, "aligned", "mean", None) for rows in by_model.values()]
    names = ("base", "sham", *FLOORS)
    floors = {
        name: [_headline(rows, name, "mean", None) for rows in by_model.values()] for name in names
    }
    chances = _chances([r for rows in by_model.values() for r in rows], kept)
    best = max(chances, key=lambda m: chances[m]) if len(by_model) > 1 and chances else None
    return bars_with_intervals(
        list(by_model),
        _measured(found),
        labels,
        floors={
            name: [None if r is None else r.aqi for r in row]
            for name, row in floors.items()
            if any(row)
        },
        mark=best,
    )


def _measured(rows: Sequence[Row | None]) -> Measured:
    return Measured(
        [None if r is None else r.aqi for r in rows],
        [None if r is None else r.aqi_low for r in rows],
        [None if r is None else r.aqi_high for r in rows],
    )


def _heatmap(by_model: Mapping[str, Sequence[Row]], labels: Labels) -> Figure:
    cells = [
        [None if (r := _headline(rows, "aligned", a, None)) is None else r.aqi for a in AXIOMS]
        for rows in by_model.values()
    ]
    return axiom_heatmap(
        Grid(list(by_model), list(AXIOMS), cells), labels, weakest=len(by_model) > 1
    )


def _profile(by_model: Mapping[str, Sequence[Row]], labels: Labels) -> Figure:
    series = {}
    readouts: tuple[Readout, ...] = ("aligned", "base") if len(by_model) == 1 else ("aligned",)
    for model, rows in by_model.items():
        for readout in readouts:
            mine = [r for r in rows if r.readout == readout and r.axiom == "mean"]
            first = [r for r in mine if r.pool == mine[0].pool and r.space == mine[0].space]
            name = f"{model} {readout}" if len(readouts) > 1 else model
            series[name] = _measured(sorted(first, key=lambda r: r.layer or 0))
    return lines_over_layers(series, labels)


PHASE = Phase(
    Params,
    Task,
    Row,
    plan,
    measure,
    summarize,
    draw,
    needs=("datasets", "organisms"),
    per="model",
    cost=Cost(seconds=4.0, megabytes=0.5),
)
