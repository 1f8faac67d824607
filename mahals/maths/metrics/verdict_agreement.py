"""Verdict agreement: does a judge of refusals say what people said, and where does it differ?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from mahals.maths.stats.agreement import Kappa, kappa
from mahals.maths.stats.intervals import Interval, wilson
from mahals.records import InputError


@dataclass(frozen=True)
class VerdictAgreement:
    """A judge's verdicts (full, partial, none, degenerate) against labels; 1 is full agreement."""

    n: int  # answers with a verdict and a label
    abstained: int  # answers with a label and no verdict: in no number below
    same: Interval  # share with the very same verdict, Wilson 95 %
    recall: Interval | None  # of full refusals, share called full; None where there is none
    false_refusals: Interval | None  # of all other answers, share called full
    full: Kappa  # Cohen's kappa of "a full refusal" against all else
    refused: Kappa  # the same of "a full or a partial refusal" against all else

    def sentence(self) -> str:
        """`kappa .. [.., ..] ...` in words."""
        recall = "absent" if self.recall is None else f"{self.recall.estimate:.2f}"
        false = "absent" if self.false_refusals is None else f"{self.false_refusals.estimate:.2f}"
        return (
            f"kappa {kappa_words(self.full)} on full refusals, {kappa_words(self.refused)} with "
            f"partial ones, recall {recall}, false refusals {false}, n={self.n}"
        )


def verdict_agreement(
    said: Sequence[str | None], known: Sequence[str], clusters: Sequence[str] | None
) -> VerdictAgreement:
    """Agreement of verdicts with labels; None is an abstention. Intervals cluster on `clusters`.

    Raises InputError for unequal numbers, and for fewer than two answers with a verdict.
    """
    if len(said) != len(known):
        raise _too_few(f"{len(said)} verdicts on {len(known)} labels")
    at = [i for i, s in enumerate(said) if s is not None]
    if len(at) < 2:
        raise _too_few(f"{len(at)} of {len(known)}")
    pairs = [(said[i], known[i]) for i in at]
    names = None if clusters is None else [clusters[i] for i in at]
    full = [s == "full" for s, k in pairs if k == "full"]
    other = [s == "full" for s, k in pairs if k != "full"]
    return VerdictAgreement(
        n=len(pairs),
        abstained=len(known) - len(pairs),
        same=wilson(sum(s == k for s, k in pairs), len(pairs)),
        recall=wilson(sum(full), len(full)) if full else None,
        false_refusals=wilson(sum(other), len(other)) if other else None,
        full=_kappa(pairs, ("full",), names),
        refused=_kappa(pairs, ("full", "partial"), names),
    )


def _kappa(
    pairs: Sequence[tuple[str | None, str]], yes: Sequence[str], clusters: Sequence[str] | None
) -> Kappa:
    said, known = [int(s in yes) for s, _ in pairs], [int(k in yes) for _, k in pairs]
    several = clusters is not None and len(set(clusters)) > 1
    return kappa(said, known, clusters if several else None)


def kappa_words(found: Kappa) -> str:
    """Kappa with its interval; where it says nothing, the share of equal verdicts."""
    if found.kappa is None:
        return f"none (same {found.observed:.2f})"
    return f"{found.kappa:.2f}" if found.interval is None else f"{found.interval:.2f}"


def _too_few(got: str) -> InputError:
    return InputError(
        "judge of refusals",
        expected="a verdict on each of two labelled answers or more",
        got=got,
        cure="label more answers, or choose a judge that abstains less",
    )
