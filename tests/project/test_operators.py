"""Operators: is adding one a function and a line in the table, for every phase that steers?"""

from __future__ import annotations

from pathlib import Path

import pytest
from torch import Tensor

from mahals.harness.workspace.paths import Workspace
from mahals.harness.workspace.settings import effective, load_settings
from mahals.models.steering.operators import OPERATORS
from mahals.phases.registry import load_phase
from mahals.phases.same_arch import PHASE
from mahals.phases.same_arch.measure import Params
from mahals.records import InputError, from_plain, to_plain
from tests.support.places import ROOT
from tests.support.tiny_lab import SUITE, lab_with_vectors, run

KEYS = {
    "same_arch": "operators",
    "cross_arch": "operator",
    "recovery": "operator",
    "collaboration": "operator",
    "equilibrium": "operator",
}


def chosen(phase: str, name: str) -> object:
    """What the phase takes for the operator `name`, out of params.yaml as it stands."""
    value = [name] if phase == "same_arch" else name
    settings = load_settings(Workspace(ROOT), None, {f"{phase}.{KEYS[phase]}": value})
    return getattr(effective(settings, load_phase(phase)), KEYS[phase])


def twice(states: Tensor, direction: Tensor, strength: Tensor) -> Tensor:
    return states + 2 * strength * direction


@pytest.mark.parametrize("phase", KEYS)
def test_the_table_says_which_operators_a_setting_may_name(
    phase: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    known = ", ".join(sorted(OPERATORS))
    with pytest.raises(InputError, match=rf"{phase}\.operators?.*one of {known}, got 'twice'"):
        chosen(phase, "twice")
    with pytest.raises(InputError, match="did you mean 'add_preserve_norm'"):
        chosen(phase, "ad_preserve_norm")
    monkeypatch.setitem(OPERATORS, "twice", twice)
    assert chosen(phase, "twice") in ("twice", ("twice",))
    monkeypatch.delitem(OPERATORS, "add")
    with pytest.raises(InputError, match="got 'add'"):
        chosen(phase, "add")


def test_an_operator_of_the_table_is_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(OPERATORS, "twice", twice)
    params = Params(
        lambdas=(0.0, 0.25, 0.5),
        unit="vector",
        method="mean_difference",
        layers="auto",
        operators=("add", "twice", "ablate"),
        placements=("raw",),
        propensity_draws=2,
        effects=False,
        scope="all",
        suite=SUITE,
    )
    assert from_plain(Params, to_plain(params), "same_arch") == params
    rows = {
        (row.operator, row.dose): row
        for row in run(PHASE, params, lab_with_vectors())
        if row.arm == "steered" and row.dose_kind == "lambda"
    }
    assert rows["twice", 0.25].aqi_axioms == pytest.approx(rows["add", 0.5].aqi_axioms)
    assert {name for name, _ in rows} == {"add", "twice", "ablate"}


def test_no_other_file_lists_operators() -> None:
    table = Path("models/steering/operators.py")
    package = ROOT / "mahals"
    files = [path for path in package.rglob("*.py") if path.relative_to(package) != table]
    assert [path for path in files if '"add_preserve_norm"' in path.read_text()] == []
