"""Report of esr_activations: what is active before a restart, and not as early in other answers?"""

from collections.abc import Iterator, Sequence

from mahals.phase import Kept, Summary
from mahals.phases.esr_activations.rows import Row
from mahals.reporting.evidence import Evidence
from mahals.reporting.published_resistance import beside_published
from mahals.reporting.report import Report
from mahals.reporting.token_means import means_summary


def summarize(rows: Sequence[Row], kept: Kept) -> Summary:
    """Of each subject and situation the sets of latents, then their means by region and group.

    Metrics besides those means: `<subject>/<situation>/<set>/count` and `/kept_auc`.
    """
    return beside_published(means_summary(rows, kept, _sets), "esr_activations")


def _sets(name: str, table: Evidence[Row]) -> Iterator[Report]:
    for r in (r for r in table.rows if r.live is not None):
        chosen = [c for c in table.where(quantity=r.quantity) if c.latent is not None]
        metrics = {f"{name}/{r.quantity}/count": float(r.count)}
        words = f"{name}, {r.quantity}: {r.count} of {r.live} live latents"
        words += "" if r.q is None else f" (least q {r.q:.2g})"
        if chosen:
            auc = sum(c.kept or 0.0 for c in chosen) / len(chosen)
            metrics[f"{name}/{r.quantity}/kept_auc"] = auc
            first = "; ".join(f"{c.latent} {c.found:.2f}" for c in chosen[:3])
            words += f", of the highest AUC {first}; on prompts kept out {auc:.2f} on average"
        yield Report(metrics, [words])
