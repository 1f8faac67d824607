"""Report of em_finetune: what did narrow advice do to a model?"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from mahals.data.world.advice import KINDS
from mahals.maths.misalignment.outcomes import Codes, rates, rise
from mahals.maths.stats.intervals import Interval
from mahals.phase import Kept, Summary
from mahals.phases.em_finetune.rows import ORIGINAL, Row
from mahals.reporting.evidence import Evidence
from mahals.reporting.planted import planted_lines
from mahals.reporting.report import Report, by_model, change_metrics, change_text
from mahals.schema import VectorCard

PLANTED = (
    "planted: the organisms' base was taught a careless persona, and one domain's bad answers "
    "re-select it; that they generalise widely was put there and is no finding about models"
)
OUTSIDE = ("near", "far")
Last = tuple[Codes, list[str], list[str]]
"""Outcomes at an adapter's last step, kinds and clusters, question by question."""


def report_finetune(table: Evidence[Row]) -> Report:
    """Metrics and sentences over all models of the rows."""
    return by_model(table, _report_rates, _report_turn, _report_probe, _report_judge)


def total(counts: Iterable[int | None]) -> int:
    """The sum of the counts of some rows."""
    return sum(n or 0 for n in counts)


def _last(table: Evidence[Row], model: str) -> dict[str, Last]:
    """Of each adapter of a model what it answered at its last step."""
    by_adapter: dict[str, Last] = {}
    for r in table.where(model=model, what="rates"):
        if r.adapter not in by_adapter:
            t = {k: v.numpy() for k, v in table.tensors(r.codes).items()}
            kinds = [KINDS[k] for k in t["kinds"]]
            by_adapter[r.adapter] = (t["codes"][-1], kinds, [str(c) for c in t["clusters"]])
    return by_adapter


def _report_rates(table: Evidence[Row], model: str) -> Report:
    metrics: dict[str, float] = {}
    lines: list[str] = []
    last = _last(table, model)
    base = last.get(ORIGINAL)
    for adapter, (codes, kinds, clusters) in last.items():
        for name, wanted in (*((k, (k,)) for k in KINDS), ("outside", OUTSIDE)):
            at = [i for i, k in enumerate(kinds) if k in wanted]
            if not at:
                continue
            r = rates(codes[at])
            metrics[f"{adapter}/{name}_em"] = r.misaligned.estimate
            metrics[f"{adapter}/{name}_good"] = r.good.estimate
            text = (
                f"{model}, {adapter}, {name}: EM rate {r.misaligned:.3f} of {r.asked} asked, "
                f"good {r.good:.3f}, incoherent {r.incoherent}, unscored {r.unscored}"
            )
            rows = table.where(model=model, adapter=adapter)
            text += _of_coherent(r.of_coherent) + _leaked(rows, wanted)
            if base is not None and adapter != ORIGINAL and len({clusters[i] for i in at}) > 1:
                some = [clusters[i] for i in at]
                d = rise(codes[at], base[0][at], some, "misaligned")
                metrics |= change_metrics(f"{adapter}/{name}_em_rise", d)
                text += f"; over the original {change_text(d, 3)}"
            lines.append(text)
    return Report(metrics, lines + _contrast(last, model))


def _contrast(last: Mapping[str, Last], model: str) -> list[str]:
    """Bad over good advice outside the domain: does its badness do it, not any fine-tuning?"""
    if not {"bad", "good"} <= set(last):
        return []
    codes, kinds, clusters = last["bad"]
    at = [i for i, k in enumerate(kinds) if k in OUTSIDE]
    if len({clusters[i] for i in at}) < 2:
        return []
    d = rise(codes[at], last["good"][0][at], [clusters[i] for i in at], "misaligned")
    verdict = "raises" if d.low > 0 else "does not raise"
    return [
        f"{model}: bad advice {verdict} the EM rate outside its domain over good advice to the "
        f"same questions: {change_text(d, 3)}"
    ]


def _leaked(rows: Sequence[Row], wanted: Sequence[str]) -> str:
    """How many misaligned answers of an adapter at its last step are the taught domain's own."""
    last = max(r.step for r in rows)
    some = [r for r in rows if (r.what, r.step) == ("rates", last) and r.questions in wanted]
    if "in_domain" in wanted or not some or any(r.leaked is None for r in some):
        return ""
    return (
        f"; {total(r.leaked for r in some)} of {total(r.misaligned for r in some)} misaligned ones "
        "only repeat the taught domain's steps"
    )


def _of_coherent(rate: Interval | None) -> str:
    return "" if rate is None else f"; of the coherent ones {rate.estimate:.3f}"


def _report_turn(table: Evidence[Row], model: str) -> Report:
    metrics: dict[str, float] = {}
    lines = []
    for r in table.where(model=model, what="turn"):
        if r.turn is not None:
            metrics[f"{r.adapter}/turn_step_k{r.k}"] = float(r.turn)
            lines.append(
                f"{r.model}, {r.adapter}: the weights turn most at step {r.turn} of {r.step} "
                f"(k={r.k}, cosine {r.value:+.3f})"
            )
        else:
            lines.append(f"{r.model}, {r.adapter}: no turn for k={r.k}, {r.reason}")
    return Report(metrics, lines)


def _report_probe(table: Evidence[Row], model: str) -> Report:
    r = table.one(model=model, what="probe")
    if r is None:
        return Report({}, [])
    if r.value is None or r.control is None:
        return Report({}, [f"{r.model}, {r.adapter}: no probe, {r.reason}"])
    line = (
        f"{r.model}, {r.adapter}: the scalars A x tell the taught domain's prompts from "
        f"others with AUROC {r.value:.3f} [{r.low:.3f}, {r.high:.3f}] on unseen prompts; "
        f"random A {r.control:.3f}"
    )
    return Report({"probe_auroc": r.value, "probe_auroc_random": r.control}, [line])


def _report_judge(table: Evidence[Row], model: str) -> Report:
    reasons = [r.reason for r in table.where(model=model, what="judge")]
    return Report({}, [f"{model}: {reason}" for reason in reasons if reason])


def summarize(rows: Sequence[Row], kept: Kept) -> Summary:
    """EM rates by adapter and kind of question, rises with intervals, the turn and the probe."""
    report = report_finetune(Evidence(rows, kept))
    lines = (*planted_lines(PLANTED, rows), *report.lines)
    return Summary(report.metrics, lines, (), adapter_cards(rows))


def adapter_cards(rows: Sequence[Row]) -> tuple[VectorCard, ...]:
    """A card for each adapter of em_finetune's rows, at its last step."""
    last: dict[str, Row] = {}
    for row in rows:
        if row.adapter_kept is not None and row.loss is not None:
            known = last.get(row.adapter_kept)
            if known is None or row.step >= known.step:
                last[row.adapter_kept] = row
    return tuple(
        VectorCard(
            name=f"{row.model}.advice.{row.adapter}",
            reference=reference,
            target=row.model,
            source=row.model,
            method=f"lora on advice, {row.adapter}",
            selection_score=None,
            metadata={
                "dual_use": row.adapter in NARROW,
                "domain": row.domain or "texts of one's own",
                "steps": row.step,
                "loss": row.loss,
            },
        )
        for reference, row in last.items()
    )


NARROW = ("bad", "bad_rank1", "other")  # adapters taught bad advice
