"""Agent Stability Index: do agents still behave as in their first interactions?

The index, its four groups and their weights are those of Rath, "Agent Drift", arXiv 2601.04170
(2026), which names twelve parts, all with 1 for perfectly stable, and leaves several formulas open.
Here every part compares a window of interactions with the first one and is in [0, 1]; where the
formula is ours the function says so. A change for the better lowers a part as one for the worse
does: it is stability, not quality.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np

from mahals.maths.stats.intervals import Floats
from mahals.records import InputError

BINS = 10  # of confidence
LIMIT = 0.75
RUNNING = 3  # windows below LIMIT, one after another, that are drift


@dataclass(frozen=True, eq=False)
class Interaction:
    """One agent's turn; what a run does not observe is None."""

    embedding: Floats | None  # (d,) of what was said, not negative where it is TF-IDF
    path: tuple[str, ...] | None  # steps of its reasoning
    confidence: float | None  # in [0, 1]
    tools: tuple[str, ...] | None  # called, in order
    parameters: tuple[str, ...] | None  # given to them, as text
    agreed: bool | None  # with the turn before it; None where there was none
    handed_over: bool | None  # what it passed on was taken up
    in_role: bool | None
    length: int | None  # tokens said
    error: bool | None
    human: bool | None  # a human had to step in


@dataclass(frozen=True)
class Parts:
    """The twelve parts, each in [0, 1], 1 is as in the first window; None: not observed."""

    semantic: float | None
    path: float | None
    confidence: float | None
    tool_selection: float | None
    tool_sequence: float | None
    tool_parameters: float | None
    agreement: float | None
    handoff: float | None
    role: float | None
    length: float | None
    error: float | None
    human: float | None


GROUPS: tuple[tuple[float, tuple[str, ...]], ...] = (
    (0.30, ("semantic", "path", "confidence")),
    (0.25, ("tool_selection", "tool_sequence", "tool_parameters")),
    (0.25, ("agreement", "handoff", "role")),
    (0.20, ("length", "error", "human")),
)
"""Weights and parts, arXiv 2601.04170."""


@dataclass(frozen=True)
class Index:
    """The index of one window, in [0, 1], higher is more stable."""

    parts: Parts
    asi: float | None  # only where every part is observed
    asi_partial: float | None  # over the parts observed, weights renormalised; None where none is
    observed: tuple[str, ...]


def stability(first: Sequence[Interaction], window: Sequence[Interaction]) -> Index:
    """The index of `window` against `first`: .30, .25, .25, .20 times the groups' means.

    A part is of the interactions that show it, and absent where a window has none. Raises
    InputError for an empty window or a confidence outside [0, 1].
    """
    if not first or not window:
        raise _refuse("interactions in both windows", f"{len(first)} and {len(window)}")
    parts = Parts(
        semantic=semantic(_seen(first, "embedding"), _seen(window, "embedding")),
        path=sequences(_seen(first, "path"), _seen(window, "path")),
        confidence=confidence(_seen(first, "confidence"), _seen(window, "confidence")),
        tool_selection=selection(_seen(first, "tools"), _seen(window, "tools")),
        tool_sequence=sequences(_seen(first, "tools"), _seen(window, "tools")),
        tool_parameters=selection(_seen(first, "parameters"), _seen(window, "parameters")),
        agreement=rates(_seen(first, "agreed"), _seen(window, "agreed")),
        handoff=rates(_seen(first, "handed_over"), _seen(window, "handed_over")),
        role=rates(_seen(first, "in_role"), _seen(window, "in_role")),
        length=lengths(_seen(first, "length"), _seen(window, "length")),
        error=rates(_seen(first, "error"), _seen(window, "error")),
        human=rates(_seen(first, "human"), _seen(window, "human")),
    )
    return index_of(parts)


def index_of(parts: Parts) -> Index:
    """The index of given parts. Partial: a group counts with the mean of its observed parts."""
    total = weight = 0.0
    for share, names in GROUPS:
        values = [v for v in (getattr(parts, n) for n in names) if v is not None]
        if values:
            total += share * float(np.mean(values))
            weight += share
    observed = tuple(f.name for f in fields(parts) if getattr(parts, f.name) is not None)
    partial = total / weight if weight else None
    whole = len(observed) == len(fields(parts))
    return Index(parts, partial if whole else None, partial, observed)


def drifted(windows: Sequence[Index]) -> bool | None:
    """Whether ASI < .75 in three windows running (arXiv 2601.04170).

    None where a window's index is partial: the rule is not applied to it.
    """
    if not windows or any(w.asi is None for w in windows):
        return None
    below = [w.asi is not None and w.asi < LIMIT for w in windows]
    return any(all(below[i : i + RUNNING]) for i in range(len(below) - RUNNING + 1))


def semantic(first: Sequence[Floats] | None, window: Sequence[Floats] | None) -> float | None:
    """Cosine of the two windows' mean embeddings, cut at 0 (source: cosine of output embeddings).

    None where one mean is 0. The mean over a window is ours.
    """
    if first is None or window is None:
        return None
    a, b = np.mean(np.stack(first), axis=0), np.mean(np.stack(window), axis=0)
    norm = float(np.linalg.norm(a) * np.linalg.norm(b))
    return None if norm == 0.0 else float(np.clip(a @ b / norm, 0.0, 1.0))


def sequences(
    first: Sequence[Sequence[str]] | None, window: Sequence[Sequence[str]] | None
) -> float | None:
    """1 - mean edit distance of the i-th sequences, over the longer's length.

    For reasoning steps as in the source (edit distance, normalised by length); for orders of tool
    calls too. Two empty sequences are alike. The windows are compared over the shorter's length.
    """
    if first is None or window is None:
        return None
    pairs = zip(first, window, strict=False)
    far = [_edits(a, b) / max(len(a), len(b)) if a or b else 0.0 for a, b in pairs]
    return float(1 - np.mean(far))


def confidence(first: Sequence[float] | None, window: Sequence[float] | None) -> float | None:
    """1 - Jensen-Shannon divergence (base 2) of the windows' histograms over ten bins.

    The source takes that divergence of predicted and actual accuracy; without truths it is here
    between windows. Raises InputError outside [0, 1].
    """
    if first is None or window is None:
        return None
    shares = []
    for values in (first, window):
        if min(values) < 0 or max(values) > 1:
            raise _refuse("a confidence in [0, 1]", f"{min(values)} to {max(values)}")
        shares.append(np.histogram(values, bins=BINS, range=(0.0, 1.0))[0] / len(values))
    middle = (shares[0] + shares[1]) / 2
    return float(np.clip(1 - sum(_kl2(s, middle) for s in shares) / 2, 0.0, 1.0))


def selection(
    first: Sequence[Sequence[str]] | None, window: Sequence[Sequence[str]] | None
) -> float | None:
    """1 - total variation distance between how often each thing was chosen (ours).

    The source tests the frequencies; a distance in [0, 1] stands for the test. Nothing chosen in
    either window is 1, in one of them 0.
    """
    if first is None or window is None:
        return None
    counts = [Counter(x for one in some for x in one) for some in (first, window)]
    totals = [sum(c.values()) for c in counts]
    if 0 in totals:
        return float(totals[0] == totals[1])
    names = set(counts[0]) | set(counts[1])
    apart = sum(abs(counts[0][n] / totals[0] - counts[1][n] / totals[1]) for n in names)
    return float(1 - apart / 2)


def rates(first: Sequence[bool] | None, window: Sequence[bool] | None) -> float | None:
    """1 - |rate in the window - rate in the first| (ours; the source reports the rates)."""
    if first is None or window is None:
        return None
    return float(1 - abs(np.mean(window) - np.mean(first)))


def lengths(first: Sequence[int] | None, window: Sequence[int] | None) -> float | None:
    """The smaller mean length over the larger (ours; the source: stability of output lengths)."""
    if first is None or window is None:
        return None
    a, b = float(np.mean(first)), float(np.mean(window))
    return 1.0 if a == b else min(a, b) / max(a, b)


def _seen(window: Sequence[Interaction], name: str) -> list[Any] | None:
    """What was observed of a part; None where no interaction of the window shows it."""
    return [v for v in (getattr(i, name) for i in window) if v is not None] or None


def _edits(a: Sequence[str], b: Sequence[str]) -> int:
    """Levenshtein distance."""
    row = list(range(len(b) + 1))
    for i, x in enumerate(a, 1):
        before, row[0] = row[0], i
        for j, y in enumerate(b, 1):
            before, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, before + (x != y))
    return row[-1]


def _kl2(p: Floats, q: Floats) -> float:
    at = p > 0
    return float((p[at] * np.log2(p[at] / q[at])).sum())


def _refuse(expected: str, got: str) -> InputError:
    return InputError(
        "agent stability", expected=expected, got=got, cure="record every interaction alike"
    )
