"""How sure is a number: its interval, its p-value, and whether it beats a random control?"""

from mahals.stats.bootstrap import (
    Resampling,
    percentile_interval,
    recentred,
    resample_weights,
)
from mahals.stats.controls import (
    GainOverRandom,
    benjamini_hochberg,
    gain_over_random,
    permutation_p,
    probability_best,
)
from mahals.stats.intervals import (
    Floats,
    Interval,
    fieller,
    influence_covariance,
    jackknife_interval,
    paired_difference,
    wilson,
)
from mahals.stats.ranks import RankCorrelation, spearman

__all__ = [
    "Floats",
    "GainOverRandom",
    "Interval",
    "RankCorrelation",
    "Resampling",
    "benjamini_hochberg",
    "fieller",
    "gain_over_random",
    "influence_covariance",
    "jackknife_interval",
    "paired_difference",
    "percentile_interval",
    "permutation_p",
    "probability_best",
    "recentred",
    "resample_weights",
    "spearman",
    "wilson",
]
