"""Is every part of the stability index what one gets by hand, and when is there a flag?"""

from dataclasses import fields, replace

import numpy as np
import pytest
from scipy.spatial.distance import jensenshannon

from mahals.maths.metrics import agent_stability as s
from mahals.records import InputError


def whole(vector: tuple[float, ...] = (1.0, 0.0), **more: object) -> s.Interaction:
    """An interaction of which everything is observed."""
    known = {
        "embedding": np.array(vector),
        "path": ("read", "think", "say"),
        "confidence": 0.95,
        "tools": ("search", "read"),
        "parameters": ("cats",),
        "agreed": True,
        "handed_over": True,
        "in_role": True,
        "length": 10,
        "error": False,
        "human": False,
    }
    return s.Interaction(**{**known, **more})


def worse() -> s.Interaction:
    """Unlike `whole` in everything."""
    return whole(
        (0.0, 1.0),
        path=("x", "y", "z"),
        confidence=0.05,
        tools=("write", "delete"),
        parameters=("dogs",),
        agreed=False,
        handed_over=False,
        in_role=False,
        length=1000,
        error=True,
        human=True,
    )


def test_the_same_again_is_one_and_all_else_is_near_zero() -> None:
    same = s.stability([whole()] * 3, [whole()] * 3)
    assert same.asi == pytest.approx(1.0) and len(same.observed) == 12
    other = s.stability([whole()] * 3, [worse()] * 3)
    assert other.asi == pytest.approx(0.20 * (10 / 1000) / 3)


def test_every_part_is_in_the_unit_interval_on_random_records() -> None:
    rng = np.random.default_rng(0)

    def drawn() -> s.Interaction:
        pick = lambda: tuple(rng.choice(list("abc"), rng.integers(0, 4)))  # noqa: E731
        flags = rng.random(5) < 0.5
        return s.Interaction(
            rng.random(4), pick(), rng.random(), pick(), pick(), bool(flags[0]), bool(flags[1]),
            bool(flags[2]), int(rng.integers(0, 50)), bool(flags[3]), bool(flags[4]),
        )  # fmt: skip

    for _ in range(50):
        found = s.stability([drawn() for _ in range(4)], [drawn() for _ in range(4)])
        values = [getattr(found.parts, f.name) for f in fields(found.parts)]
        assert all(v is None or 0 <= v <= 1 for v in values)
        assert found.asi_partial is not None and 0 <= found.asi_partial <= 1


def test_parts_by_hand() -> None:
    assert s.sequences([("a", "b", "c")], [("a", "c")]) == pytest.approx(1 - 1 / 3)
    assert s.sequences([list("kitten")], [list("sitting")]) == pytest.approx(1 - 3 / 7)
    assert s.selection([("a", "a", "b")], [("a", "c")]) == pytest.approx(0.5)
    assert s.selection([()], [()]) == 1.0 and s.selection([()], [("a",)]) == 0.0
    assert s.rates([True, False], [True, True, True, False]) == pytest.approx(0.75)
    assert s.lengths([10, 20], [30]) == pytest.approx(0.5)
    assert s.semantic([np.array([1.0, 1.0])], [np.array([1.0, 0.0])]) == pytest.approx(0.5**0.5)
    assert s.semantic([np.zeros(2)], [np.ones(2)]) is None


def test_confidence_is_the_divergence_of_scipy() -> None:
    a, b = [0.1, 0.2, 0.25, 0.9], [0.15, 0.95, 0.99, 0.5]
    bins = np.linspace(0, 1, 11)
    p, q = (np.histogram(x, bins)[0] for x in (a, b))
    assert s.confidence(a, b) == pytest.approx(1 - jensenshannon(p, q, base=2) ** 2)
    with pytest.raises(InputError):
        s.confidence([1.5], [0.5])


def test_weights_are_those_of_the_source() -> None:
    assert [w for w, _ in s.GROUPS] == [0.30, 0.25, 0.25, 0.20]
    names = [n for _, some in s.GROUPS for n in some]
    assert names == [f.name for f in fields(s.Parts)]
    ones = s.Parts(*[1.0] * 12)
    for weight, some in s.GROUPS:
        for name in some:
            assert s.index_of(replace(ones, **{name: 0.0})).asi == pytest.approx(1 - weight / 3)


def test_what_is_not_observed_is_absent_and_the_rest_renormalised() -> None:
    no_tools = whole(tools=None, parameters=None)
    found = s.stability([no_tools] * 2, [replace(no_tools, length=20)] * 2)
    assert found.asi is None and len(found.observed) == 9
    assert found.asi_partial == pytest.approx((0.30 + 0.25 + 0.20 * (2.5 / 3)) / 0.75)
    nothing = s.index_of(s.Parts(*[None] * 12))
    assert nothing.asi_partial is None


def test_the_flag_needs_three_windows_running_and_every_part() -> None:
    def at(value: float) -> s.Index:
        return s.index_of(s.Parts(*[value] * 12))

    low, high = at(0.74), at(0.76)
    assert s.drifted([low, low, low]) is True
    assert s.drifted([low, low, high, low, low]) is False
    assert s.drifted([high, low, low, low]) is True
    assert s.drifted([at(0.75)] * 5) is False
    assert s.drifted([low, low]) is False
    partial = s.index_of(replace(low.parts, human=None))
    assert s.drifted([low, low, low, partial]) is None
    assert s.drifted([]) is None


def test_complete_records_that_decay_are_flagged_from_end_to_end() -> None:
    first, after = [whole()] * 50, [worse()] * 50
    mixed = [*[whole()] * 30, *[worse()] * 20]
    windows = [s.stability(first, w) for w in (first, mixed, after, after, after)]
    assert windows[0].asi == pytest.approx(1.0)
    assert windows[1].asi is not None and 0 < windows[1].asi < 1
    assert s.drifted(windows) is True
    assert s.drifted([s.stability(first, first)] * 5) is False


def test_an_empty_window_is_refused() -> None:
    with pytest.raises(InputError, match="both windows"):
        s.stability([], [whole()])
