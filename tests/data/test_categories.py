"""Are categories those of the data, with columns of their own, and a small one absent?"""

import pytest

from mahals.data.categories import (
    RESERVED,
    categories_of,
    category_column,
    columns_of,
    is_category_column,
    measurable,
)
from mahals.data.texts import AXIOMS, Prompt
from mahals.records import InputError
from mahals.schema import AXIOM_COLUMNS, COLUMNS


def _prompts(**cells) -> list[Prompt]:
    """`name=(safe, unsafe)`: so many prompts of each."""
    counts = {(name, v): n[1 - v] for name, n in cells.items() for v in (1, 0)}
    texts = [(a, v, f"{a} {v} {i}") for (a, v), n in counts.items() for i in range(n)]
    return [Prompt(t, a, v, t, t, "evaluation") for a, v, t in texts]


def test_the_columns_of_the_axioms_are_as_ever():
    assert tuple(map(category_column, AXIOMS)) == AXIOM_COLUMNS
    assert sorted(AXIOMS) == list(AXIOMS)
    assert columns_of(["refusal_gap", *AXIOM_COLUMNS]) == columns_of([]) == COLUMNS


def test_other_categories_have_columns_where_the_axioms_have_theirs():
    assert category_column("Safe targets (2)") == "aqi_safe_targets_2"
    assert category_column("\u00c9t\u00e9") == "aqi_ete"
    assert category_column("\u6771") != category_column("\u897f")
    found = columns_of(["aqi_gain", "aqi_privacy", "aqi_homonyms"])
    at = found.index("aqi_homonyms")
    assert found[at : at + 2] == ("aqi_homonyms", "aqi_privacy")
    assert set(found) == set(COLUMNS) - set(AXIOM_COLUMNS) | {"aqi_homonyms", "aqi_privacy"}
    assert not any(map(is_category_column, RESERVED)) and is_category_column("aqi_privacy")


def test_a_category_with_too_few_of_a_label_is_absent_with_its_reason():
    prompts = _prompts(b=(3, 3), a=(5, 1), c=(2, 9))
    found = measurable(prompts, 3, "suite.answers", "evaluation")
    assert found.categories == ("b",) and categories_of(prompts) == ("a", "b", "c")
    assert found.absent == (
        "a: 5 safe and 1 unsafe prompts in evaluation, of each 3 are needed",
        "c: 2 safe and 9 unsafe prompts in evaluation, of each 3 are needed",
    )
    assert measurable(prompts, 0, "x", "evaluation").categories == ("b", "c")
    assert found.prompts == tuple(p for p in prompts if p.axiom == "b")


def test_no_category_at_all_is_an_error_with_cell_and_cure():
    with pytest.raises(InputError) as caught:
        measurable(_prompts(a=(5, 1)), 3, "suite.answers", "evaluation")
    for word in ("suite.answers", "a: 5 safe and 1 unsafe", "datasets.per_cell"):
        assert word in str(caught.value)
