"""Report of em_ablation: what came back, at what cost, and what did the direction induce?"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from mahals.maths.misalignment.outcomes import Codes, restoration, rise
from mahals.maths.stats.controls import GainOverRandom, gain_over_random
from mahals.maths.stats.intervals import wilson
from mahals.phase import Kept, Summary
from mahals.phases.em_ablation.rows import Row
from mahals.reporting.report import change_metrics, change_text

if TYPE_CHECKING:
    from mahals.maths.misalignment.outcomes import Outcome

HEADLINE = 1.0
RANDOM = {"ablate": "random", "induce": "induce_random", "weights": "weights_random"}


class AblationRows:
    """Rows of one model with their outcomes, question by question."""

    def __init__(self, rows: Sequence[Any], kept: Kept) -> None:
        self.rows = list(rows)
        self._files = {r.codes: kept.tensors(r.codes) for r in rows}

    def codes(self, row: Any) -> Codes:
        """(n,) outcomes of one row."""
        return np.asarray(self._files[row.codes]["codes"][row.codes_row].numpy())

    def clusters(self) -> list[str]:
        """(n,) what intervals cluster on."""
        return [str(int(c)) for c in self._files[self.rows[0].codes]["clusters"]]

    def one(self, subject: str, arm: str, level: float = 0.0) -> Any | None:
        """The row of an arm that is not drawn; None without one."""
        found = [r for r in self.rows if (r.subject, r.arm, r.level) == (subject, arm, level)]
        return found[0] if found else None

    def drawn(self, subject: str, arm: str, level: float) -> list[Any]:
        """The random rows at one level."""
        return [r for r in self.rows if (r.subject, r.arm, r.level) == (subject, arm, level)]

    def levels(self, subject: str, arm: str) -> list[float]:
        """The levels of an arm, ascending."""
        return sorted({r.level for r in self.rows if (r.subject, r.arm) == (subject, arm)})


def over_random(read: AblationRows, row: Any, outcome: Outcome) -> GainOverRandom | None:
    """The share of an outcome under an arm less its mean under random ones of equal KL.

    None with fewer than two random arms, or where all of them are equal and the arm is not.
    """
    random = read.drawn(row.subject, RANDOM[row.arm], row.level)
    if len(random) < 2:
        return None
    own = _flags(read.codes(row), outcome)
    theirs = np.stack([_flags(read.codes(r), outcome) for r in random])
    shares = theirs.mean(axis=1)
    if np.ptp(shares) == 0 and own.mean() != shares[0] and (theirs == theirs[0]).all():
        return None
    return gain_over_random(
        float(own.mean()),
        own - own.mean(),
        shares,
        theirs - shares[:, None],
        read.clusters(),
    )


def _flags(codes: Codes, outcome: Outcome) -> Any:
    from mahals.maths.misalignment.outcomes import OUTCOMES

    return (codes == OUTCOMES.index(outcome)).astype(np.float64)


def report_ablation(rows: Sequence[Any], kept: Kept) -> tuple[dict[str, float], list[str]]:
    """Metrics and sentences over all models."""
    metrics: dict[str, float] = {}
    lines: list[str] = []
    models = dict.fromkeys(r.model for r in rows)
    for model in models:
        read = AblationRows([r for r in rows if r.model == model], kept)
        prefix = f"{model}/" if len(models) > 1 else ""
        for said in (_restored(read, model), _cost(read, model), _induced(read, model)):
            metrics |= {prefix + k: v for k, v in said[0].items()}
            lines += said[1]
        lines += dict.fromkeys(f"{model}, {r.subject}: {w}" for r in read.rows for w in r.missed)
    return metrics, lines


def _restored(read: AblationRows, model: str) -> tuple[dict[str, float], list[str]]:
    """Of each strength, and of the weights' form, what was restored and how EM fell."""
    bad, original = read.one("bad", "none"), read.one("original", "none")
    if bad is None or original is None:
        return {}, [f"{model}: no restoration, the subjects bad and original are not both there"]
    metrics: dict[str, float] = {}
    lines = [
        f"{model}: original EM {_share(original)}, good {_share(original, 'good')}; bad EM "
        f"{_share(bad)}, good {_share(bad, 'good')}, on {bad.asked} unseen prompts"
    ]
    arms = [("ablate", s) for s in read.levels("bad", "ablate") if s > 0]
    arms += [("weights", s) for s in read.levels("bad", "weights")]
    for arm, level in arms:
        row = read.one("bad", arm, level)
        if row is None:
            continue
        found = restoration(read.codes(row), read.codes(bad), read.codes(original), read.clusters())
        fall = rise(read.codes(row), read.codes(bad), read.clusters(), "misaligned")
        name = f"{arm}_{level:g}" if arm == "ablate" else arm
        metrics |= change_metrics(f"{name}/em_change", fall)
        if found.interval is not None:
            metrics |= change_metrics(f"{name}/restoration", found.interval)
        text = (
            f"{model}, {arm} {level:g} at blocks {_list(row.blocks)}: restoration "
            f"{change_text(found.interval, 3) if found.interval else f'absent ({found.why})'}, "
            f"EM rate {change_text(fall, 3)} to {_share(row)}"
        )
        lines.append(text + _control(read, row, metrics, name) + _price(row))
    return metrics, lines


def _control(read: AblationRows, row: Any, metrics: dict[str, float], name: str) -> str:
    """The same arm against random directions of equal KL, in words."""
    parts = []
    outcomes: tuple[tuple[str, Outcome], ...] = (("EM", "misaligned"), ("good", "good"))
    for word, outcome in outcomes:
        found = over_random(read, row, outcome)
        if found is None:
            parts.append(f"{word} absent (no spread of random directions)")
            continue
        metrics |= change_metrics(f"{name}/{outcome}_over_random", found.interval)
        parts.append(f"{word} {change_text(found.interval, 3)}")
    how = "taken out in the same way" if row.arm == "weights" else "of equal KL"
    return f"; over random directions {how}: " + ", ".join(parts)


def _price(row: Any) -> str:
    kl = "" if row.kl is None else f"KL {row.kl:.3f}, "
    over = f", over the ceiling: {_list(row.over_ceiling)}" if row.over_ceiling else ""
    accuracy = "" if row.safe_accuracy is None else f", safe accuracy {row.safe_accuracy:.2f}"
    return (
        f"; price: {kl}perplexity ratio {row.perplexity_ratio:.3f}{accuracy}, incoherent "
        f"{row.incoherent}, degenerate {row.degenerate} of {row.asked}{over}"
    )


def _cost(read: AblationRows, model: str) -> tuple[dict[str, float], list[str]]:
    """What the same ablation does to the control adapter, which needs no cure."""
    none, row = read.one("good", "none"), read.one("good", "ablate", HEADLINE)
    if none is None or row is None:
        return {}, []
    change = rise(read.codes(row), read.codes(none), read.clusters(), "good")
    metrics = change_metrics("control_adapter/good_change", change)
    text = (
        f"{model}, control adapter, ablate {HEADLINE:g}: good answers {change_text(change, 3)} "
        f"from {_share(none, 'good')}"
    )
    return metrics, [text + _control(read, row, metrics, "control_adapter") + _price(row)]


def _induced(read: AblationRows, model: str) -> tuple[dict[str, float], list[str]]:
    """Does the direction, added to the original, raise EM above a random one of equal KL?"""
    metrics: dict[str, float] = {}
    lines = []
    none = read.one("original", "none")
    for level in read.levels("original", "induce"):
        row = read.one("original", "induce", level)
        if row is None or none is None:
            continue
        up = rise(read.codes(row), read.codes(none), read.clusters(), "misaligned")
        name = f"induce_{level:g}"
        metrics |= change_metrics(f"{name}/em_change", up)
        text = f"{model}, induction at KL {level:g}: EM rate {change_text(up, 3)} to {_share(row)}"
        lines.append(text + _control(read, row, metrics, name) + _price(row))
    return metrics, lines


def _share(row: Any, what: str = "misaligned") -> str:
    return f"{wilson(getattr(row, what), row.asked):.3f}"


def _list(items: Sequence[object]) -> str:
    return ", ".join(map(str, items))


def summarize(rows: Sequence[Row], kept: Kept) -> Summary:
    """Restoration with its interval and the fall of the EM rate, over random directions; induction.

    Every number has its random control at equal KL beside it.
    """
    metrics, lines = report_ablation(rows, kept)
    return Summary(metrics, tuple(lines), (), ())
