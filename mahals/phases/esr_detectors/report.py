"""Report of esr_detectors: which latents tell digressions, and do they on other prompts as well?"""

from collections.abc import Sequence
from statistics import mean

from mahals.phase import Kept, Summary
from mahals.phases.esr_detectors.rows import Row
from mahals.reporting.evidence import Evidence
from mahals.reporting.report import Report, by_model, joined

WHAT = ("detector", "random")


def summarize(rows: Sequence[Row], kept: Kept) -> Summary:
    """Of each subject how many latents pass, beside controls, and their AUC on other prompts.

    Metrics `<subject>/detectors`, `/strict`, `/exchanged`, `/<what>_auc_found` and `_auc_kept`.
    """
    report = by_model(Evidence(rows, kept), _model)
    return Summary(report.metrics, tuple(report.lines), (), ())


def _model(table: Evidence[Row], model: str) -> Report:
    searches = table.where(model=model, what="search")
    return joined(_search(table, r).under(f"{r.subject}/") for r in searches)


def _search(table: Evidence[Row], r: Row) -> Report:
    counts = {"detectors": r.passed, "strict": r.strict, "exchanged": r.exchanged}
    metrics = {name: float(n) for name, n in counts.items() if n is not None}
    told = (
        f"{r.model}, {r.subject}, {r.dictionary} dictionary: {r.passed} of {r.live} live latents "
        f"are woken more where an answer is to another of {r.prompts} prompts (least q {r.q:.2g}); "
        f"with exchanged labels {r.exchanged:.1f}; by the published strict rule {r.strict}"
    )
    beside = {w: table.where(model=r.model, subject=r.subject, what=w) for w in WHAT}
    for what, own in beside.items():
        if own:
            found, kept = (mean(getattr(x, n) for x in own) for n in ("found", "kept"))
            metrics |= {f"{what}_auc_found": found, f"{what}_auc_kept": kept}
            told += f"; {what} latents have AUC {found:.2f}, {kept:.2f} on others"
    first = "; ".join(f"{x.latent} ({x.label})" for x in beside["detector"][:8]) or "none"
    return Report(metrics, [told, f"{r.model}, {r.subject}, first detectors: {first}"])
