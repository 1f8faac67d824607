"""Registry: is every phase there by its name, after what it needs, and in no study twice?"""

from __future__ import annotations

import pytest

from mahals.phases.registry import PHASES, STUDIES, load_phase


@pytest.mark.parametrize("name", PHASES)
def test_a_phase_is_loaded_by_its_name(name: str) -> None:
    assert load_phase(name).name == name


def test_a_phase_comes_after_what_it_needs() -> None:
    assert len(set(PHASES)) == len(PHASES)
    for at, name in enumerate(PHASES):
        assert set(load_phase(name).needs) <= set(PHASES[:at]), name


@pytest.mark.parametrize("study", STUDIES)
def test_a_study_is_some_phases_in_their_order_with_all_that_they_need(study: str) -> None:
    names = STUDIES[study]
    assert [name for name in PHASES if name in names] == list(names)
    assert {need for name in names for need in load_phase(name).needs} <= set(names)


def test_only_what_reads_several_trainings_is_in_no_study() -> None:
    """DVC keeps one training."""
    studied = {name for names in STUDIES.values() for name in names}
    assert {name for name in PHASES if not load_phase(name).trainings} == studied
