"""Report of preference_tuning: did each model gain an aligned half, and did the sham gain none?"""

from __future__ import annotations

import json
from collections.abc import Sequence

import numpy as np

from mahals.maths.stats.intervals import Interval
from mahals.maths.stats.rates import gap_of
from mahals.phase import Kept, Summary
from mahals.phases.preference_tuning.rows import ORDER, Row
from mahals.reporting.evidence import Evidence
from mahals.reporting.report import Report, by_model, interval_metrics

SOURCES = (
    "refusals of the gate are by the judge {judge} (docs/judges.md); its unsafe requests are those "
    "of the pairs, its safe ones this project's own, so its gap is also one between sources: what "
    "the trained half does on the study's prompts stands in same_arch, as `aligned`"
)


def summarize(rows: Sequence[Row], kept: Kept) -> Summary:
    """Per model: the gate's refusals and price of each checkpoint, and whether the pair is there.

    Metrics `<checkpoint>/refusal_gap` and `/rise` with `_low` and `_high`, `/perplexity_ratio`,
    `/loss_first`, `/loss_last` (means over a tenth of the steps), `over_sham` (the gap of the
    trained half less its sham's, paired by request) and `held` (1 where the gate let it pass).
    """
    told = by_model(Evidence(rows, kept), _report_model)
    return Summary(told.metrics, tuple(told.lines), (), ())


def _report_model(table: Evidence[Row], model: str) -> Report:
    own = table.where(model=model)
    metrics: dict[str, float] = {}
    for row in own:
        metrics |= {f"{row.checkpoint}/{name}": value for name, value in _numbers(row).items()}
        if row.held is not None:
            metrics["held"] = float(row.held)
    ordered = sorted(own, key=lambda r: ORDER.index(r.checkpoint))
    lines = [f"{model}: {_line(row)}" for row in ordered]
    apart = _over_sham(table, own)
    if apart is not None:
        metrics |= interval_metrics("over_sham", apart)
        lines.append(f"{model}: the gap of dpo less that of its sham, by request: {apart:+.2f}")
    lines += [_verdict(model, row) for row in ordered if row.held is not None]
    if ordered[0].weights == "hub":
        lines.append(f"{model}: {SOURCES.format(judge=ordered[0].judge)}")
    return Report(metrics, lines)


def _over_sham(table: Evidence[Row], own: Sequence[Row]) -> Interval | None:
    """The refusal gap of the trained half less its sham's; None where one of them is missing."""
    kept = {r.checkpoint: r.answers for r in own if r.checkpoint in ("dpo", "sham")}
    if len(kept) < 2:
        return None
    lines = {
        name: [json.loads(x) for x in table.path(file).read_text(encoding="utf-8").splitlines()]
        for name, file in kept.items()
    }
    refused = {name: np.array([x["refused"] for x in ls], float) for name, ls in lines.items()}
    safe = np.array([x["label"] == 1 for x in lines["dpo"]])
    prompts = [x["prompt"] for x in lines["dpo"]]
    return gap_of(refused["dpo"] - refused["sham"], safe, prompts, paired=True).interval()


def _numbers(row: Row) -> dict[str, float]:
    found = {
        "refusal_unsafe": row.refusal_unsafe,
        "refusal_safe": row.refusal_safe,
        "refusal_gap": row.gap,
        "refusal_gap_low": row.gap_low,
        "refusal_gap_high": row.gap_high,
        "degenerate_share": row.degenerate_share,
        "perplexity": row.perplexity,
    }
    if row.rise is not None and row.perplexity_ratio is not None:
        found |= {"rise": row.rise, "perplexity_ratio": row.perplexity_ratio}
    if row.rise_low is not None and row.rise_high is not None:
        found |= {"rise_low": row.rise_low, "rise_high": row.rise_high}
    if row.losses:
        first, last = ends(row.losses)
        found |= {"loss_first": first, "loss_last": last}
    return found


def ends(losses: Sequence[float]) -> tuple[float, float]:
    """Mean loss of the first and of the last tenth of the steps."""
    some = max(1, len(losses) // 10)
    return sum(losses[:some]) / some, sum(losses[-some:]) / some


def _line(row: Row) -> str:
    """One checkpoint in one sentence."""
    said = (
        f"{row.checkpoint}: refuses {row.refusal_unsafe:.2f} of {row.unsafe} unsafe and "
        f"{row.refusal_safe:.2f} of {row.safe} safe requests of the gate, gap {row.gap:+.2f} "
        f"[{row.gap_low:+.2f}, {row.gap_high:+.2f}]"
    )
    ratio = row.perplexity_ratio
    if row.rise is None or row.rise_low is None or row.rise_high is None or ratio is None:
        return said
    first, last = ends(row.losses)
    return (
        f"{said}, {row.rise:+.2f} [{row.rise_low:+.2f}, {row.rise_high:+.2f}] over {row.start}, "
        f"perplexity x {ratio:.2f}, degenerate {row.degenerate_share:.2f}; "
        f"loss {first:.2f} to {last:.2f} in {len(row.losses)} steps on {row.examples} examples"
        + ("" if row.share in (None, 1.0) else f", {row.share:g} of the change kept")
    )


def _verdict(model: str, row: Row) -> str:
    if row.held:
        return f"{model}: the gate let it pass: aligned is what the preferences made of {row.start}"
    return f"{model}: no pair. {row.reason}"
