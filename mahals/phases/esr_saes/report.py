"""Report of esr_saes: how well are states described, and which directions are there?"""

from collections import Counter
from collections.abc import Sequence

from mahals.phase import Kept, Summary
from mahals.phases.esr_saes.rows import Row
from mahals.reporting.evidence import Evidence
from mahals.reporting.published_resistance import beside_published
from mahals.reporting.report import Report, by_model


def summarize(rows: Sequence[Row], kept: Kept) -> Summary:
    """The quality of each block's autoencoder, the latents left after each step, the directions.

    Metrics `block_<b>/fvu`, `/l0` and `/dead`, `latents/<step>`, `directions/<source>`.
    """
    report = by_model(Evidence(rows, kept), _saes, _directions)
    return beside_published(Summary(report.metrics, tuple(report.lines), (), ()), "esr_saes")


def _saes(table: Evidence[Row], model: str) -> Report:
    saes = table.where(model=model, what="sae")
    names = ("fvu", "l0", "dead")
    metrics = {f"block_{r.block}/{name}": getattr(r, name) for r in saes for name in names}
    origins = [r.source if r.trained is None else f"{r.source} on {r.trained} states" for r in saes]
    lines = [
        f"{model}, block {r.block}: {r.count} latents, {origin}; of {r.held_out} states held out "
        f"{r.fvu:.3f} of the variance is not explained, {r.l0:.1f} latents are active in a state, "
        f"{r.dead:.2f} of all in none"
        for r, origin in zip(saes, origins, strict=True)
    ]
    return Report(metrics, lines)


def _directions(table: Evidence[Row], model: str) -> Report:
    steps = table.where(model=model, what="step")
    found = table.where(model=model, what="direction")
    left = ", ".join(f"{s.count} {s.name}" + (f" ({s.why})" if s.why else "") for s in steps)
    taken = "; ".join(f"{r.name} ({r.label}: {r.concept})" for r in found if r.source == "latent")
    counts = Counter(r.source for r in found)
    told = ", ".join(f"{n} {source}" for source, n in counts.items())
    metrics = {f"latents/{s.name}": float(s.count or 0) for s in steps}
    metrics |= {f"directions/{source}": float(n) for source, n in counts.items()}
    lines = [
        f"{model}, latents left after each step: {left}; taken: {taken or 'none'}",
        f"{model}: {told} directions at block {found[0].block}, each as long as the states there "
        f"are on average, {found[0].length:.3g}",
    ]
    return Report(metrics, lines)
