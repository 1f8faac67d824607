"""Do the published formulas give the published table?"""

from __future__ import annotations

import csv

import numpy as np
import pytest

from mahals.maths.metrics.aqi_paper import aqi_paper_appendix, aqi_published
from mahals.records import InputError
from tests.support.places import ROOT

PUBLISHED = ROOT / "benchmarks" / "published" / "phase1_aqi_rows.csv"


def published_rows() -> dict[str, list[dict[str, str]]]:
    models: dict[str, list[dict[str, str]]] = {}
    with PUBLISHED.open() as file:
        for row in csv.DictReader(file):
            models.setdefault(row["model"], []).append(row)
    return models


def test_published_table_is_reproduced_row_by_row() -> None:
    models = published_rows()
    assert sum(len(rows) for rows in models.values()) == 48
    for rows in models.values():
        chi, xb = ([float(r[c]) for r in rows] for c in ("chi", "xb"))
        given_aqi = [float(r["aqi"]) for r in rows]
        np.testing.assert_allclose(aqi_published(chi, xb, 0.5), given_aqi, atol=0.02)


def test_with_n_matched_every_published_model_scores_five() -> None:
    for rows in published_rows().values():
        n = np.array([float(r["n"]) for r in rows])
        chi = np.array([float(r["chi"]) for r in rows]) * (400 - 2) / (n - 2)
        xb = [float(r["xb"]) for r in rows]
        assert aqi_published(chi, xb, 0.5)[-1] == pytest.approx(5.0, abs=0.005)


def test_appendix_form_by_hand() -> None:
    assert aqi_paper_appendix(50, 2.0, 0.5, 200) == pytest.approx(0.5 * np.exp(-1.0))
    with pytest.raises(InputError, match="ch_max"):
        aqi_paper_appendix(50, 2.0, 0.5, 40)
