"""Does every profile that a library gives hold as an equilibrium?"""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from mahals.maths.games.game import exploitability, supports
from tests.support.textbook_games import calm, game, mixed, tables


@calm
@given(tables, st.sampled_from([1e-3, 0.5, 3.0, 1e4]), st.integers(-100, 100))
def test_every_mixed_equilibrium_holds_and_affine_payoffs_keep_it(table, scale, shift) -> None:
    first, second = game(table), game(table * scale + shift)
    once = mixed(first)
    for profile in once:
        assert exploitability(first, profile) < 1e-6
        assert exploitability(second, profile) < 1e-6
    assert {supports(p) for p in once} == {supports(p) for p in mixed(second)}
