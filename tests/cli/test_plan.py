"""Does the dry run say memory, tokens and time, and what it does not know?"""

from __future__ import annotations

from dataclasses import replace

from mahals.cli.plan import plan_page
from mahals.harness.runner.demand import Demand, ParameterTokens
from mahals.harness.runner.forecast import Forecast, UnitForecast

KNOWN = Demand(3_000_000_000, 12_000.0, 4_000.0, ParameterTokens(1.0, 1.0), 0, guessed=False)
UNIT = UnitForecast("same_arch", "A", "to do", 3, 1, ("A",), "m", 7200.0, 6.0, KNOWN)
ORGANISM = replace(UNIT, seconds=22.0, demand=None)


def page(*units: UnitForecast, free: int | None = 20_000_000_000) -> str:
    return plan_page([Forecast(units, (), 2, free)], None)


def test_a_unit_of_real_checkpoints_shows_memory_and_tokens() -> None:
    said = page(UNIT)
    assert all(word in said for word in ("memory", "3.0 GB", "12 k", "4 k", "2.0 h"))
    assert "1 of 1 units to do on 2 processes: about 2.0 h, 6 MB" in said
    assert not any(word in said for word in ("guessed", "are free", "not in these sums", "fetch"))


def test_of_organisms_neither_is_said() -> None:
    said = page(ORGANISM, free=None)
    assert "memory" not in said and "about 22 s, 6 MB" in said


def test_what_does_not_fit_is_not_here_or_not_known_is_said_below() -> None:
    lacking = replace(KNOWN, memory=65_000_000_000, fetched=29_000_000_000, guessed=True)
    unknown = replace(lacking, read=None, written=None, work=None)
    said = page(
        replace(UNIT, demand=lacking), replace(UNIT, unit="B", seconds=None, demand=unknown)
    )
    assert "a process needs 65.0 GB, 20.0 GB are free: use dtype: bfloat16" in said
    assert "checkpoints that are not on this machine yet: about 29 GB" in said
    assert "guessed where texts or checkpoints are not here yet" in said
    assert "not in these sums: the time and tokens of 1 units marked ?" in said
