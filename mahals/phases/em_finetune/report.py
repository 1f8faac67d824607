"""Report of em_finetune: what did narrow advice do to a model?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from mahals.data.world.advice import KINDS
from mahals.maths.misalignment.outcomes import Codes, rates, rise
from mahals.maths.stats.intervals import Interval
from mahals.phase import Kept, Summary
from mahals.phases.em_finetune.rows import ORIGINAL, Row
from mahals.reporting.report import change_metrics, change_text
from mahals.schema import VectorCard

OUTSIDE = ("near", "far")
Found = tuple[dict[str, float], list[str]]


def report_finetune(rows: Sequence[Any], kept: Kept) -> Found:
    """Metrics and sentences over all models in `rows`."""
    metrics: dict[str, float] = {}
    lines: list[str] = []
    models = dict.fromkeys(r.model for r in rows)
    for model in models:
        own = [r for r in rows if r.model == model]
        prefix = f"{model}/" if len(models) > 1 else ""
        for m, said in (_report_rates(own, kept), _report_turn(own), _report_probe(own)):
            metrics |= {prefix + name: value for name, value in m.items()}
            lines += said
        lines += [f"{model}: {r.reason}" for r in own if r.what == "judge" and r.reason]
    return metrics, lines


def final(rows: Sequence[Any], kept: Kept) -> dict[str, tuple[Codes, list[str], list[str]]]:
    """Of each adapter the outcomes at the last step, kinds and clusters, question by question."""
    found = {}
    for r in rows:
        if r.what == "rates" and r.adapter not in found:
            t = {k: v.numpy() for k, v in kept.tensors(r.codes).items()}
            kinds = [KINDS[k] for k in t["kinds"]]
            found[r.adapter] = (t["codes"][-1], kinds, [str(c) for c in t["clusters"]])
    return found


def _report_rates(rows: Sequence[Any], kept: Kept) -> Found:
    metrics: dict[str, float] = {}
    lines: list[str] = []
    found, model = final(rows, kept), rows[0].model
    base = found.get(ORIGINAL)
    for adapter, (codes, kinds, clusters) in found.items():
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
            text += _of_coherent(r.of_coherent) + _leaked(rows, adapter, wanted)
            if base is not None and adapter != ORIGINAL and len({clusters[i] for i in at}) > 1:
                some = [clusters[i] for i in at]
                d = rise(codes[at], base[0][at], some, "misaligned")
                metrics |= change_metrics(f"{adapter}/{name}_em_rise", d)
                text += f"; over the original {change_text(d, 3)}"
            lines.append(text)
    return metrics, lines + _contrast(found, model)


def _contrast(found: Mapping[str, tuple[Codes, list[str], list[str]]], model: str) -> list[str]:
    """Bad over good advice outside the domain: does its badness do it, not any fine-tuning?"""
    if not {"bad", "good"} <= set(found):
        return []
    codes, kinds, clusters = found["bad"]
    at = [i for i, k in enumerate(kinds) if k in OUTSIDE]
    if len({clusters[i] for i in at}) < 2:
        return []
    d = rise(codes[at], found["good"][0][at], [clusters[i] for i in at], "misaligned")
    verdict = "raises" if d.low > 0 else "does not raise"
    return [
        f"{model}: bad advice {verdict} the EM rate outside its domain over good advice to the "
        f"same questions: {change_text(d, 3)}"
    ]


def _leaked(rows: Sequence[Any], adapter: str, wanted: Sequence[str]) -> str:
    last = max(r.step for r in rows if r.adapter == adapter)
    some = [
        r
        for r in rows
        if (r.what, r.adapter, r.step) == ("rates", adapter, last) and r.questions in wanted
    ]
    if "in_domain" in wanted or not some or any(r.leaked is None for r in some):
        return ""
    return (
        f"; {sum(r.leaked for r in some)} of {sum(r.misaligned for r in some)} misaligned ones "
        "only repeat the taught domain's steps"
    )


def _of_coherent(found: Interval | None) -> str:
    return "" if found is None else f"; of the coherent ones {found.estimate:.3f}"


def _report_turn(rows: Sequence[Any]) -> Found:
    metrics: dict[str, float] = {}
    lines = []
    for r in rows:
        if r.what == "turn" and r.turn is not None:
            metrics[f"{r.adapter}/turn_step_k{r.k}"] = float(r.turn)
            lines.append(
                f"{r.model}, {r.adapter}: the weights turn most at step {r.turn} of {r.step} "
                f"(k={r.k}, cosine {r.value:+.3f})"
            )
        elif r.what == "turn":
            lines.append(f"{r.model}, {r.adapter}: no turn for k={r.k}, {r.reason}")
    return metrics, lines


def _report_probe(rows: Sequence[Any]) -> Found:
    for r in rows:
        if r.what == "probe" and r.value is not None:
            text = (
                f"{r.model}, {r.adapter}: the scalars A x tell the taught domain's prompts from "
                f"others with AUROC {r.value:.3f} [{r.low:.3f}, {r.high:.3f}] on unseen prompts; "
                f"random A {r.control:.3f}"
            )
            return {"probe_auroc": r.value, "probe_auroc_random": r.control}, [text]
        if r.what == "probe":
            return {}, [f"{r.model}, {r.adapter}: no probe, {r.reason}"]
    return {}, []


def summarize(rows: Sequence[Row], kept: Kept) -> Summary:
    """EM rates by adapter and kind of question, rises with intervals, the turn and the probe."""
    metrics, lines = report_finetune(rows, kept)
    return Summary(metrics, tuple(lines), (), adapter_cards(rows))


def adapter_cards(rows: Sequence[Any]) -> tuple[VectorCard, ...]:
    """A card for each adapter of em_finetune's rows, at its last step."""
    last: dict[str, Any] = {}
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
