"""Are ridge and Procrustes those of scikit-learn and scipy?"""

from __future__ import annotations

import numpy as np
import pytest
from scipy.linalg import orthogonal_procrustes
from sklearn.linear_model import Ridge

from mahals.maths.transfer.fitting import fit_map
from mahals.maths.transfer.linear import ALPHAS
from tests.support.planted_spaces import D, planted


def test_ridge_is_scikit_learns_at_the_chosen_penalty_and_chooses_well() -> None:
    source, target, _ = planted(200, D, 7, 5)
    target = target + 3 * np.random.default_rng(6).standard_normal(target.shape)
    found = fit_map("ridge", source, target, 9, None)
    order = np.random.default_rng(9).permutation(200)
    held, kept = order[:40], order[40:]
    unit = ((source[kept] - source[kept].mean(0)) ** 2).sum() / D
    assert found.alpha in ALPHAS
    other = Ridge(alpha=found.alpha * unit).fit(source[kept], target[kept])
    np.testing.assert_allclose(found.matrix, other.coef_.T, atol=1e-8)
    errors = []
    for alpha in ALPHAS:
        total = 0.0
        for rows in np.array_split(np.arange(160), 5):
            rest = np.setdiff1d(np.arange(160), rows)
            mean_x, mean_y = source[kept].mean(0), target[kept].mean(0)
            fit = Ridge(alpha=alpha * unit, fit_intercept=False).fit(
                source[kept][rest] - mean_x, target[kept][rest] - mean_y
            )
            fitted = fit.predict(source[kept][rows] - mean_x)
            total += ((target[kept][rows] - mean_y - fitted) ** 2).sum()
        errors.append(total)
    assert found.alpha == ALPHAS[int(np.argmin(errors))]
    truth = target[held] - target[kept].mean(0)
    r2 = 1 - ((target[held] - other.predict(source[held])) ** 2).sum() / (truth**2).sum()
    assert found.r2_held_out == pytest.approx(r2)


def test_procrustes_is_scipys_between_equal_widths() -> None:
    source, target, _ = planted(300, D, D, 5)
    target = target + np.random.default_rng(6).standard_normal(target.shape)
    kept = np.random.default_rng(3).permutation(300)[60:]
    x, y = source[kept] - source[kept].mean(0), target[kept] - target[kept].mean(0)
    turn, size = orthogonal_procrustes(x, y)
    expected = turn * size / (x**2).sum()
    np.testing.assert_allclose(fit_map("procrustes", source, target, 3, None).matrix, expected)
