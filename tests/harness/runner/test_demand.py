"""Demand: do memory, tokens and processes follow from what is asked?"""

from __future__ import annotations

from pathlib import Path

import pytest

from mahals.harness.runner import demand, forecast
from mahals.harness.runner.demand import fitting, text_sizes, unit_demand
from mahals.harness.runner.prepare import bare_spec
from mahals.harness.workspace.fingerprint import Resolver
from mahals.harness.workspace.model_registry import places_of
from mahals.phase import Phase
from mahals.usage import TextSizes, Workload
from tests.support import toy_study as toy
from tests.support.tiny_lab import TinyLab

ONE = Workload(1000.0, 100.0, 2)


def test_processes_are_as_many_as_memory_holds_and_at_least_one() -> None:
    assert fitting(10, 100, 16) == 9
    assert fitting(10, 1000, 16) == 16
    assert fitting(10, 5, 16) == 1


def test_a_unit_asks_for_its_checkpoints_its_tokens_and_its_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    workspace = toy.make(tmp_path)
    resolver = Resolver(workspace, toy.settings_of(workspace, weights="hub"))
    spec = bare_spec(resolver, "grow", "A")
    tasks = forecast.planned(spec, 0)
    unknown = unit_demand(spec, tasks, resolver.registry)
    assert (unknown.read, unknown.work) == (None, None) and unknown.guessed
    monkeypatch.setattr(Phase, "workload", lambda *_: ONE)
    known = unit_demand(spec, tasks, resolver.registry)
    size = demand.entry_size(resolver.registry["A"], places_of(workspace))
    assert (known.read, known.written) == (1000.0 * len(tasks), 100.0 * len(tasks))
    assert known.work == demand.ParameterTokens(
        size.parameters * known.read, size.parameters * 100.0 * 4
    )
    assert known.memory > demand.process_bytes() + 2 * size.held(spec.device)


def test_real_checkpoints_run_in_as_many_processes_as_fit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    workspace = toy.make(tmp_path)
    settings = toy.settings_of(workspace, weights="hub")
    monkeypatch.setattr(forecast, "free_bytes", lambda device: 1)
    monkeypatch.setattr(
        forecast, "cached_speed", lambda *_: pytest.fail("no phase here knows its tokens")
    )
    few = forecast.forecast("grow", settings, workspace)
    assert few.workers == 1 and few.free == 1
    assert forecast.forecast("grow", settings, workspace, 3).workers == 3, "what is typed holds"
    assert [u.seconds for u in few.units] == [None, None]
    organisms = forecast.forecast("grow", toy.settings_of(workspace), workspace)
    assert organisms.free is None and all(u.demand is None for u in organisms.units)


def test_texts_are_counted_in_tokens_with_their_template() -> None:
    found = text_sizes(TinyLab())  # type: ignore[arg-type]
    assert isinstance(found, TextSizes)
    assert (found.prompts, found.questions, found.choices) == (84, 4, 2)
    assert 20 < found.prompt_tokens < 40 and found.pairs == 84
