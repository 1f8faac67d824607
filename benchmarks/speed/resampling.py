"""Resampling: how much faster are 1000 resamples as matrix products than as a scikit-learn loop?"""

from __future__ import annotations

from collections.abc import Callable
from statistics import median

import numpy as np
from sklearn.metrics import calinski_harabasz_score

from benchmarks.speed import setting
from benchmarks.speed.timing import Bar, Line, Page, interleaved, of_values, timed
from mahals.maths.metrics.aqi import axiom_aqi
from mahals.maths.metrics.aqi_bootstrap import resampled_omega2
from mahals.maths.metrics.permutation import Permutations, null_omega2, omega2, permuted_labels
from mahals.maths.stats.bootstrap import Resampling, resample_weights
from mahals.maths.stats.intervals import Floats

PROMPTS, RESAMPLES = 400, 1000
LOOPED = 20  # resamples of the loop that are timed in a round; they count RESAMPLES / LOOPED times
WIDTHS = {512: Bar(">=", 25), 4096: Bar(">=", 100)}
CLOSE = 1e-9  # of the loop's values


def sklearn_score(x: Floats, y: Floats) -> float:
    """100 omega^2 from scikit-learn's Calinski-Harabasz index."""
    ch = calinski_harabasz_score(x, y)
    return float(omega2(ch / (ch + len(y) - 2), len(y)))


class Case:
    """States and labels of one width, with the three resamplings, ours and as loops."""

    def __init__(self, width: int, prompts: int) -> None:
        rng = np.random.default_rng(0)
        self.y = (np.arange(prompts) % 2).astype(np.float64)
        self.x = rng.normal(size=(prompts, width)) + 0.05 * self.y[:, None]
        self.chance = Permutations(RESAMPLES, 0)
        self.shuffled = permuted_labels(self.y, None, self.chance)
        self.weights = self._drawn()

    def _drawn(self) -> Floats:
        return resample_weights(len(self.y), None, None, Resampling(RESAMPLES, 0))

    def permutation(self) -> Floats:
        """(1000,): the score under shuffled labels, which are drawn here."""
        return null_omega2(self.x, self.y, None, self.chance)

    def permutation_loop(self, count: int) -> list[float]:
        """The first `count` of them, of labels drawn before."""
        return [sklearn_score(self.x, labels) for labels in self.shuffled[:count]]

    def bootstrap(self) -> Floats:
        """(1000,): the score of resampled prompts, which are drawn here."""
        return resampled_omega2(self.x, self.y, self._drawn())

    def bootstrap_loop(self, count: int) -> list[float]:
        """The first `count` of them, of prompts drawn before."""
        rows = [np.repeat(np.arange(len(self.y)), w.astype(int)) for w in self.weights[:count]]
        return [sklearn_score(self.x[r], self.y[r]) for r in rows]

    def jackknife(self) -> Floats:
        """(n,): the influence of each prompt."""
        return axiom_aqi(self.x, self.y, None).influence

    def jackknife_loop(self, count: int) -> list[float]:
        """The score without each of the first `count` prompts."""
        keep = np.arange(len(self.y))
        return [sklearn_score(self.x[keep != i], self.y[keep != i]) for i in range(count)]


def measure(options: setting.Options) -> Page:
    """Speed-ups of the three resamplings at two widths."""
    page = Page("resampling", str(__doc__), setting.machine())
    for width, bar in WIDTHS.items():
        case = Case(width, 40 if options.tiny else PROMPTS)
        n = len(case.y)
        _agree(case)
        group = f"n {n}, d {width}"
        jobs: dict[str, tuple[Callable[[], object], Callable[[int], object], int, Bar | None]] = {
            f"{RESAMPLES} permutations": (case.permutation, case.permutation_loop, RESAMPLES, bar),
            f"{RESAMPLES} bootstraps": (case.bootstrap, case.bootstrap_loop, RESAMPLES, bar),
            "jackknife": (case.jackknife, case.jackknife_loop, n, None),
        }
        for what, (ours, loop, count, its) in jobs.items():
            page.lines.append(_speed_up((group, what), (ours, loop), count, (options.rounds, its)))
    page.notes.append(
        f"{LOOPED} resamples of the loop are timed in a round and scaled; our times hold the draws"
        " of permutations and resamples, the loop's do not. Permutations and bootstraps equal the "
        f"loop's to {CLOSE:g}; of the jackknife a test says so."
    )
    return page


def _speed_up(
    name: tuple[str, str],
    ways: tuple[Callable[[], object], Callable[[int], object]],
    count: int,
    how: tuple[int, Bar | None],
) -> Line:
    ours, loop = ways
    ways_now = {"ours": timed(ours), "loop": timed(lambda: loop(LOOPED))}
    times = interleaved(ways_now, how[0])
    pairs = list(zip(times["loop"], times["ours"], strict=True))
    walls = [count / LOOPED * a.wall / b.wall for a, b in pairs]
    cpu = median(count / LOOPED * a.cpu / b.cpu for a, b in pairs)
    return of_values(*name, walls, ("x", how[1]), cpu)


def _agree(case: Case) -> None:
    for ours, loop in (
        (case.permutation(), case.permutation_loop(LOOPED)),
        (case.bootstrap(), case.bootstrap_loop(LOOPED)),
    ):
        np.testing.assert_allclose(ours[:LOOPED], loop, rtol=CLOSE, atol=CLOSE)


if __name__ == "__main__":
    chosen = setting.options(__doc__)
    measure(chosen).write(chosen.out)
