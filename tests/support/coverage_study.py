"""How often do AQI's intervals hold the truth, over widths, numbers of prompts and levels?

Simulated: isotropic normal states with equal label counts, whose population AQI is
100 (delta^2 / 4) / (delta^2 / 4 + d). The second arm of a paired gain reads the same prompts: half
of its noise variance is the first arm's, and its true gain is 0.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from scipy import special

from mahals.maths.metrics.aqi_bootstrap import resampled_omega2
from mahals.maths.metrics.permutation import omega2
from mahals.maths.stats.bootstrap import (
    Resampling,
    percentile_interval,
    recentred,
    resample_weights,
)

WIDTHS, COUNTS, LEVELS = (8, 128, 1024), (28, 60, 200), (0, 2, 20, 36)
REPETITIONS = 2000
CHUNK = 2_000_000  # numbers held at once


@dataclass(frozen=True)
class Cell:
    """Shares of 95 % intervals that hold the truth."""

    d: int
    n: int
    aqi: int
    level: float  # jackknife
    gain: float  # jackknife, paired
    percentile: float  # bootstrap of the level, as usual
    recentred: float  # bootstrap of the level, recentred


def noise(n: int, d: int, count: int, rng: np.random.Generator) -> np.ndarray:
    """(count, 2n, k) standard normal states of two arms up to a rotation of all but axis 0.

    Scores depend on the other axes through their Gram matrix alone, a Wishart matrix with d - 1
    degrees of freedom: where d - 1 > 2n its Bartlett factor (2n, 2n) is drawn in its stead.
    """
    m = 2 * n
    if d - 1 <= m:
        return rng.standard_normal((count, m, d))
    states = np.empty((count, m, m + 1))
    states[..., 0] = rng.standard_normal((count, m))
    states[..., 1:] = np.tril(rng.standard_normal((count, m, m)), -1)
    diagonal = np.arange(m)
    chi = np.sqrt(rng.chisquare(d - 1 - diagonal, (count, m)))
    states[:, diagonal, diagonal + 1] = chi
    return states


@dataclass(frozen=True)
class Parts:
    """What the score of n states needs of them, with axis 0 apart: that is where labels differ."""

    first: np.ndarray  # (count, n) residuals on axis 0
    gap: np.ndarray  # (count,) centroid difference of the noise on axis 0
    residual2: np.ndarray  # (count, n) squared residuals on the other axes
    along: np.ndarray  # (count, n) residual . centroid difference on the other axes
    delta2: np.ndarray  # (count,)


def parts(x: np.ndarray) -> Parts:
    """Of states (count, n, k), every second one safe."""
    means = [x[:, label::2].mean(axis=1, keepdims=True) for label in (0, 1)]
    residual = np.empty_like(x)
    for label in (0, 1):
        residual[:, label::2] = x[:, label::2] - means[label]
    delta = (means[1] - means[0])[:, 0]
    rest = residual[..., 1:]
    return Parts(
        residual[..., 0],
        delta[:, 0],
        np.einsum("cnk,cnk->cn", rest, rest),
        np.einsum("cnk,ck->cn", rest, delta[:, 1:]),
        np.einsum("ck,ck->c", delta[:, 1:], delta[:, 1:]),
    )


def scores(p: Parts, shift: float) -> tuple[np.ndarray, np.ndarray]:
    """AQI (count,) and its influences (count, n), with the safe label moved by `shift`."""
    count, n = p.first.shape
    half = n // 2
    gap = p.gap + shift
    residual2 = p.residual2 + p.first**2
    along = p.along + p.first * gap[:, None]
    delta2 = (p.delta2 + gap**2)[:, None]
    within = residual2.sum(axis=1, keepdims=True)
    side = np.where(np.arange(n) % 2 == 1, 1.0, -1.0)
    left = within - residual2 * half / (half - 1)
    moved = delta2 - 2 * side * along / (half - 1) + residual2 / (half - 1) ** 2
    between = moved * (half - 1) * half / (n - 1)
    without = omega2(between / (between + left), n - 1).reshape(count, half, 2)
    weight = np.sqrt(n * (n - 1) * (half - 1) / half)
    influence = weight * (without.mean(axis=1, keepdims=True) - without)
    whole = n / 4 * delta2
    return omega2(whole / (whole + within), n)[:, 0], influence.reshape(count, n)


def shift_of(aqi: float, d: int) -> float:
    """The distance of the labels' means that makes the population AQI `aqi` at unit variance."""
    return float(2 * np.sqrt(d * aqi / (100 - aqi)))


def jackknife(d: int, n: int, repetitions: int, seed: int) -> dict[int, tuple[float, float]]:
    """Coverage of (level, paired gain) for each true AQI, on the same noise."""
    rng = np.random.default_rng([seed, d, n])
    t = float(special.stdtrit(n - 1, 0.975))
    held = {aqi: np.zeros(2) for aqi in LEVELS}
    for size in _chunks(repetitions, max(1, CHUNK // (2 * n * min(d, 2 * n + 1)))):
        both = noise(n, d, size, rng)
        one = both[:, :n]
        arms = parts(one), parts((one + both[:, n:]) / np.sqrt(2))
        for aqi in LEVELS:
            (a, own), (b, other) = (scores(p, shift_of(aqi, d)) for p in arms)
            for i, (miss, influence) in enumerate(((a - aqi, own), (a - b, own - other))):
                error = np.sqrt((influence**2).sum(axis=1) / (n * (n - 1)))
                held[aqi][i] += (np.abs(miss) <= t * error).sum()
    return {aqi: (float(h[0] / repetitions), float(h[1] / repetitions)) for aqi, h in held.items()}


def bootstrap(d: int, n: int, sets: int, seed: int) -> dict[int, tuple[float, float]]:
    """Coverage of the level by percentiles of 200 resamples, (as they are, recentred)."""
    rng = np.random.default_rng([seed, d, n, 1])
    labels = np.arange(n) % 2
    held = {aqi: np.zeros(2) for aqi in LEVELS}
    for i in range(sets):
        weights = resample_weights(n, None, [str(v) for v in labels], Resampling(200, i))
        states = noise(n, d, 1, rng)[0, :n]
        for aqi in LEVELS:
            x = states.copy()
            x[:, 0] += shift_of(aqi, d) * labels
            estimate = float(resampled_omega2(x, labels, np.ones((1, n)))[0])
            draws = resampled_omega2(x, labels, weights)
            for j, values in enumerate((draws, recentred(draws, estimate))):
                found = percentile_interval(values, estimate)
                held[aqi][j] += found.low <= aqi <= found.high
    return {aqi: (float(h[0] / sets), float(h[1] / sets)) for aqi, h in held.items()}


def _chunks(total: int, size: int) -> Iterator[int]:
    for start in range(0, total, size):
        yield min(size, total - start)


def measure(repetitions: int, sets: int) -> list[Cell]:
    """The whole grid."""
    found = []
    for d in WIDTHS:
        for n in COUNTS:
            own, other = jackknife(d, n, repetitions, 0), bootstrap(d, n, sets, 0)
            found += [Cell(d, n, a, *own[a], *other[a]) for a in LEVELS]
    return found


def write(path: Path, rows: list[Cell]) -> None:
    """`rows` as a table with a header."""
    with path.open("w", newline="", encoding="utf-8") as file:
        table = csv.DictWriter(file, list(asdict(rows[0])), lineterminator="\n")
        table.writeheader()
        table.writerows(asdict(row) for row in rows)


def read(path: Path) -> list[Cell]:
    """The table that `write` wrote."""
    with path.open(encoding="utf-8") as file:
        return [
            Cell(int(r["d"]), int(r["n"]), int(r["aqi"]), *(float(r[k]) for k in list(r)[3:]))
            for r in csv.DictReader(file)
        ]
