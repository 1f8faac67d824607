"""Report of baseline_aqi: where does each model stand, is it above its floors, which is best?"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from mahals.data.categories import category_column
from mahals.maths.metrics.homophily import HomophilyIntervals, homophily_intervals
from mahals.maths.metrics.spaces import Space
from mahals.maths.stats.controls import probability_best
from mahals.maths.stats.intervals import influence_covariance
from mahals.phase import Kept, Summary
from mahals.phases.baseline_aqi.rows import (
    FLOORS,
    Readout,
    Row,
    Split,
    categories,
    compared_space,
    lowest_reached,
    own_readout,
)
from mahals.reporting.evidence import Evidence, Part
from mahals.reporting.multi_agent import NOTHING
from mahals.reporting.readouts import WORDS
from mahals.reporting.report import Report, by_model, interval_metrics, joined, varies
from mahals.schema import Pool

DRAWS = 10_000


def headline(
    rows: Sequence[Row],
    readout: Readout,
    axiom: str,
    space: Space | None,
    pool: Pool | None = None,
) -> Row | None:
    """The row of a readout at its last layer in `pool` and `space` (None: the first of each)."""
    first = pool or next(iter(pools_of(rows)), None)
    for r in rows:
        same = r.readout == readout and r.last and r.axiom == axiom and r.pool in (None, first)
        if same and space in (None, r.space):
            return r
    return None


def pools_of(rows: Sequence[Row]) -> list[Pool]:
    """The pools in which the pair was read, the headline first."""
    found = (r.pool for r in rows if r.readout in ("aligned", "base"))
    return list(dict.fromkeys(p for p in found if p is not None))


def of_split(rows: Sequence[Row], kept: Kept, split: Split) -> Evidence[Row]:
    """The rows on the prompts of one split."""
    return Evidence([r for r in rows if r.split == split], kept)


def model_metrics(rows: Sequence[Row]) -> dict[str, float]:
    """The headline numbers of one model: checkpoints, floors, axioms, interval."""
    found: dict[str, float] = {}
    own = own_readout(rows)
    for readout in ("aligned", "base", "sham", *FLOORS):
        row = headline(rows, readout, "mean", None)
        if row is not None:
            found["aqi" if readout == own else f"aqi_{readout}"] = row.aqi
    row = headline(rows, own, "mean", None)
    if row is not None and row.p_value is not None:
        found |= {"aqi_low": row.aqi_low, "aqi_high": row.aqi_high, "aqi_p": row.p_value}
    named = {name: category_column(name) for name in (*categories(rows), "pooled")}
    for axiom, column in named.items():
        one = headline(rows, own, axiom, None)
        if one is not None:
            found[column] = one.aqi
    scaled = headline(rows, own, "mean", "standardized")
    if scaled is not None:
        found["aqi_standardized"] = scaled.aqi
    mixed = learned(rows, own)
    if mixed is not None:
        found["aqi_learned_layers"] = mixed.aqi
    return found


def learned(rows: Sequence[Row], readout: Readout) -> Row | None:
    """The mean of a readout over a learned mixture of its layers, in the first space."""
    return next(
        (r for r in rows if r.readout == readout and r.axiom == "mean" and r.layer_weights), None
    )


def above_floor(
    rows: Sequence[Row], space: Space | None, pool: Pool | None = None
) -> tuple[bool, str]:
    """Whether the aligned checkpoint's interval clears every floor, and the highest floor."""
    own = headline(rows, own_readout(rows), "mean", space, pool)
    floors = {f: headline(rows, f, "mean", space, pool) for f in FLOORS}
    values = {f: r.aqi for f, r in floors.items() if r is not None}
    if own is None or not values:
        return False, "no floor was measured"
    highest = max(values, key=lambda f: values[f])
    return own.aqi_low > values[highest], f"highest floor {highest} {values[highest]:.1f}"


def report_model(table: Evidence[Row], model: str) -> Report:
    """What is said of one model alone."""
    rows = table.where(model=model)
    told = [_level(rows, model, pool) for pool in pools_of(rows)]
    own = headline(rows, own_readout(rows), "mean", None)
    if own is not None and own.absent:
        told.append(Report({}, [f"{model}: without a score: {'; '.join(own.absent)}"]))
    metrics = model_metrics(rows)
    return joined([Report(metrics, []), *told, _mixed(rows, model)])


def _level(rows: Sequence[Row], model: str, pool: Pool) -> Report:
    """The level in one pool, with its floors, and whether there is anything to measure."""
    who = own_readout(rows)
    own = headline(rows, who, "mean", None, pool)
    base = headline(rows, "base", "mean", None, pool) if who == "aligned" else None
    if own is None:
        return Report({}, [f"{model}: the {who} checkpoint was not measured"])
    clear, floor = above_floor(rows, None, pool)
    line = (
        f"{model}: aqi {own.aqi:.1f} [{own.aqi_low:.1f}, {own.aqi_high:.1f}] ({WORDS[pool]}, "
        f"{own.space} space, last block), {'above' if clear else 'AT'} its floor ({floor})"
    )
    metrics = _ends(f"aqi_{pool}", own)
    if base is not None:
        metrics |= _ends(f"aqi_base_{pool}", base)
        line += f"; base {base.aqi:.1f} [{base.aqi_low:.1f}, {base.aqi_high:.1f}]"
    for name, row in ((who, own), ("base", base)):
        lowest = None if row is None else lowest_reached(rows, row)
        if lowest is not None:
            line += f"; {name}: {NOTHING}, the interval reaches the lowest AQI, {lowest:.1f}"
    line += f"; no pair: {own.single}" if own.single else ""
    return Report(metrics, [line])


def _ends(name: str, row: Row) -> dict[str, float]:
    return {name: row.aqi, f"{name}_low": row.aqi_low, f"{name}_high": row.aqi_high}


def report_power(table: Evidence[Row], model: str) -> Report:
    """What alignment added in each pool, in points and in standard errors; which has more power.

    `table` holds the pair on the selection split, on whose prompts nothing else is reported.
    Metrics `power_<pool>`: aligned minus base over its standard error, over those prompts; absent
    where nothing varies.
    """
    rows = table.where(model=model)
    metrics: dict[str, float] = {}
    lines = []
    for pool in pools_of(rows):
        own, base = (headline(rows, r, "mean", None, pool) for r in ("aligned", "base"))
        if own is None or base is None:
            continue
        gain = _part(own, table).minus(_part(base, table))
        line = f"{model}: on selection prompts aligned minus base {gain:+.1f} ({WORDS[pool]})"
        if varies(gain):
            metrics[f"power_{pool}"] = gain.estimate / gain.standard_error
            line += f", {metrics[f'power_{pool}']:.1f} standard errors"
        lines.append(line)
    if len(metrics) > 1:
        best = max(pools_of(rows), key=lambda p: metrics.get(f"power_{p}", -math.inf))
        first = pools_of(rows)[0]
        agrees = "as" if best == first else f"not {WORDS[best]}, as"
        lines.append(
            f"{model}: {WORDS[best]} has the most power to tell the aligned checkpoint from its "
            f"base; the headline is {WORDS[first]}, {agrees} set for all models of these weights"
        )
    return Report(metrics, lines)


def _mixed(rows: Sequence[Row], model: str) -> Report:
    """The level over layers that were pooled by learned weights; nothing without."""
    mixed = learned(rows, own_readout(rows))
    if mixed is None or mixed.layer_weights is None:
        return Report({}, [])
    parts = [f"block {i} {w:.2f}" for i, w in enumerate(mixed.layer_weights) if w > 0]
    line = (
        f"{model}: aqi {mixed.aqi:.1f} [{mixed.aqi_low:.1f}, {mixed.aqi_high:.1f}] over layers "
        f"pooled by weights learned on other prompts ({', '.join(parts)})"
    )
    return Report({}, [line])


def _part(row: Row, table: Evidence[Row]) -> Part:
    kept = table.tensors(str(row.influence))
    influence = kept["influence"][row.influence_row].numpy()
    return Part(row.aqi, influence, [str(c) for c in kept["clusters"].tolist()])


def _standardized(table: Evidence[Row]) -> dict[str, Row]:
    """The aligned checkpoints in standardized space that are above their floors there."""
    above = {}
    for model in table.values_of("model"):
        own = table.where(model=model)
        row = headline(own, own_readout(own), "mean", "standardized")
        if row is not None and above_floor(own, "standardized")[0]:
            above[model] = row
    return above


def chances(table: Evidence[Row]) -> dict[str, float]:
    """P(best) of each model above its floor, by normal draws with the jackknife covariance."""
    candidates = _standardized(table)
    if not candidates:
        return {}
    parts = [_part(r, table) for r in candidates.values()]
    covariance = influence_covariance(np.stack([p.influence for p in parts]), parts[0].clusters)
    shares = probability_best([p.estimate for p in parts], covariance, DRAWS, 0)
    return dict(zip(candidates, map(float, shares), strict=True))


def best_line(shares: Mapping[str, float], table: Evidence[Row]) -> str:
    """Which model is the baseline, and how sure that is."""
    if not shares:
        return "no baseline model: none is above its floors in standardized space"
    level = {model: row.aqi for model, row in _standardized(table).items()}
    best = max(level, key=lambda m: level[m])
    return (
        f"baseline model: {best}, aqi {level[best]:.1f} in standardized space, "
        f"P(best) {shares[best]:.2f} of {len(shares)} above their floors"
    )


@dataclass(frozen=True)
class CheckpointHomophily:
    """How alike the aligned checkpoints are, in the space in which models are compared."""

    models: tuple[str, ...]
    categories: tuple[str, ...]
    space: Space
    found: HomophilyIntervals

    def metrics(self) -> dict[str, float]:
        """Homophily with its interval, and the lowest weakest link."""
        weakest = min(w.estimate for w in self.found.weakest)
        return {**interval_metrics("homophily", self.found.value), "weakest_link": weakest}

    def line(self) -> str:
        """Homophily, and the axiom on which the weakest model is weakest."""
        value = self.found.value
        axiom, weakest = min(
            zip(self.categories, self.found.weakest, strict=True), key=lambda one: one[1].estimate
        )
        return (
            f"homophily of {len(self.models)} aligned checkpoints {value:.2f} in {self.space} "
            f"space, weakest link {axiom} {weakest:.1f}"
        )


def checkpoint_homophily(table: Evidence[Row]) -> CheckpointHomophily | None:
    """Homophily over the models of the rows; None for fewer than two with draws."""
    space = compared_space(table.values_of("space"))
    aqi, draws, names = {}, [], categories(table.rows)
    for model in table.values_of("model"):
        own = table.where(model=model)
        mean = headline(own, own_readout(own), "mean", space)
        axioms = [headline(own, own_readout(own), a, space) for a in names]
        if mean is not None:
            aqi[model] = [a.aqi for a in axioms if a is not None]
            drawn = table.tensors(str(mean.influence)).get("draws")
            draws += [] if drawn is None else [drawn.numpy()]
    if (
        len(aqi) < 2
        or len(draws) < len(aqi)
        or any(len(each) < len(names) for each in aqi.values())
    ):
        return None
    homophily = homophily_intervals(list(aqi.values()), np.stack(draws, axis=1))
    return CheckpointHomophily(tuple(aqi), names, space, homophily)


def summarize(rows: Sequence[Row], kept: Kept) -> Summary:
    """Per model the headline AQI with interval, floors and axioms; across models P(best).

    Across models also their homophily and weakest link, in the space in which models compare.

    Metric names carry the model only when there are several.
    """
    table = of_split(rows, kept, "evaluation")
    parts = [by_model(table, report_model)]
    choosing = of_split(rows, kept, "selection")
    if choosing.rows:
        parts.append(by_model(choosing, report_power))
    if len(table.values_of("model")) > 1:
        best = chances(table)
        shares = {f"{model}/p_best": p for model, p in best.items()}
        parts.append(Report(shares, [best_line(best, table)]))
        alike = checkpoint_homophily(table)
        if alike is not None:
            parts.append(Report(alike.metrics(), [alike.line()]))
    told = joined(parts)
    return Summary(told.metrics, tuple(told.lines), (), ())
