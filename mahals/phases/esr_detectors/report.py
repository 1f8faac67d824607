"""Report of esr_detectors: which latents tell digressions, and do they on other prompts as well?"""

from collections.abc import Sequence
from statistics import mean
from typing import Any

from mahals.phase import Kept, Summary
from mahals.phases.esr_detectors.rows import Row
from mahals.reporting.evidence import Evidence
from mahals.reporting.published_resistance import beside_published
from mahals.reporting.report import Report, by_model, joined


def summarize(rows: Sequence[Row], kept: Kept) -> Summary:
    """Of each subject how many latents pass, beside controls, and their AUC on other prompts.

    Metrics `<subject>/detectors`, `/strict`, `/exchanged`, `/<what>_auc_found` and `_auc_kept`.
    """
    report = by_model(Evidence(rows, kept), _model)
    return beside_published(Summary(report.metrics, tuple(report.lines), (), ()), "esr_detectors")


def _model(table: Evidence[Any], model: str) -> Report:
    searches = table.where(model=model, what="search")
    return joined(_search(table, r).under(f"{r.subject}/") for r in searches)


def _search(table: Evidence[Any], r: Any) -> Report:
    metrics = {"detectors": float(r.passed), "strict": float(r.strict), "exchanged": r.exchanged}
    told = (
        f"{r.model}, {r.subject}, {r.dictionary} dictionary: {r.passed} of {r.live} live latents "
        f"are woken more where an answer is to another of {r.prompts} prompts (least q {r.q:.2g}); "
        f"with exchanged labels {r.exchanged:.1f}; by the published strict rule {r.strict}"
    )
    for what in ("detector", "random"):
        if own := table.where(model=r.model, subject=r.subject, what=what):
            found, kept = mean(x.found for x in own), mean(x.kept for x in own)
            metrics |= {f"{what}_auc_found": found, f"{what}_auc_kept": kept}
            told += f"; {what} latents have AUC {found:.2f}, {kept:.2f} on others"
    named = table.where(model=r.model, subject=r.subject, what="detector")[:8]
    first = "; ".join(f"{x.latent} ({x.label})" for x in named) or "none"
    return Report(metrics, [told, f"{r.model}, {r.subject}, first detectors: {first}"])
