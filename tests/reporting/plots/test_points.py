"""Points: do they lie where they were measured?"""

from __future__ import annotations

import math

from tests.support.sample_figures import MODELS


def test_points_lie_where_they_were_measured(figures) -> None:
    axes = figures["scatter"].axes[0]
    points = next(line for line in axes.lines if line.get_gid() == "points")
    assert list(points.get_ydata()) == [3.0 * math.sin(5 * i) for i in range(8)]
    assert {t.get_text() for t in axes.texts} == set(MODELS)
