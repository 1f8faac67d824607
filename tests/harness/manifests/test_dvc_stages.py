"""DVC stages: does each hang on just the code, values and results that decide it?"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import grimp
import pytest

from mahals.harness.manifests.dvc_stages import BOARD, PUBLISH, gather_of, pipeline
from mahals.harness.manifests.sources import Sources
from mahals.harness.workspace.code_hash import OUTSIDE, ROOTS
from mahals.records import InputError
from tests.support.manifests import inside
from tests.support.places import ROOT


def test_stages_are_phases_and_gathers(sources: Sources, stages: dict[str, Any]) -> None:
    gathers = {f"{name}_gather" for name in sources.studied}
    assert gathers == {gather_of(phase) for phase in sources.studied.values()}
    assert set(stages) == {PUBLISH, *sources.studied, *gathers}


def test_what_tells_is_a_dependency_of_gathers_alone(
    sources: Sources, stages: dict[str, Any]
) -> None:
    """A sentence or a figure makes no measuring stale, and a gather hangs on no model's code."""
    for name in sources.studied:
        measured = modules_in(inside(stages[name].deps))
        told = modules_in(inside(stages[f"{name}_gather"].deps))
        own = f"mahals/phases/{name}"
        parts = {"measure": measured, "report": told, "figures": told}
        for part, code in parts.items():
            files = {p.relative_to(ROOT).as_posix() for p in (ROOT / own).glob(f"{part}*")}
            assert any(f in code or f"{f}/__init__.py" in code for f in files), (name, part)
            other = told if code is measured else measured
            assert not any(f in other or f"{f}/__init__.py" in other for f in files), (name, part)
        assert not [f for f in measured if f.startswith("mahals/reporting")], name
        assert not [f for f in told if f.startswith(("mahals/models", "mahals/evaluation"))], name


def test_every_result_comes_out_of_one_stage(sources: Sources, stages: dict[str, Any]) -> None:
    outs = [out for stage in stages.values() for out in inside(stage.outs)]
    assert len(outs) == len(set(outs))
    units = {(n, u) for n, phase in sources.studied.items() for u in sources.units(phase)}
    for file in ("metrics.json", "report.md"):
        told = {o for o in outs if o.endswith(file)}
        assert told == {f"results/{n}/{u}/{file}" for n, u in units}
    for stage in stages.values():
        for out in stage.outs:
            in_git = out.fs_path.endswith(("metrics.json", "report.md", BOARD))
            assert out.use_cache != in_git


def test_results_that_are_read_come_out_of_a_stage(stages: dict[str, Any]) -> None:
    outs = {out for stage in stages.values() for out in inside(stage.outs)}
    for name, stage in stages.items():
        read = {d for d in inside(stage.deps) if d.startswith(("results/", "data/"))}
        assert read <= outs, name
        if not name.endswith("_gather"):
            assert not any(d.endswith("run.json") for d in read), "run.json differs in every run"


def test_a_gather_follows_every_run_of_a_unit(sources: Sources, stages: dict[str, Any]) -> None:
    """run.json is new in each run, whatever made its unit stale: code, values or upstream."""
    for name, phase in sources.studied.items():
        gather, several = stages[f"{name}_gather"], phase.per == "model"
        params = [d.params for d in gather.deps if hasattr(d, "params")]
        assert params == ([["models"]] if several else [])
        deps = {d for d in inside(gather.deps) if d.startswith("results/")}
        units = sources.models if several else ["study"]
        assert deps == {f"results/{name}/{unit}/run.json" for unit in units}


def test_stages_follow_what_phases_need(sources: Sources, stages: dict[str, Any]) -> None:
    """By DVC's own graph: a stage hangs on the stages of what its phase needs, and no others."""
    made_by = {out: name for name, stage in stages.items() for out in inside(stage.outs)}
    for phase in sources.studied.values():
        hangs_on = {made_by[d] for d in inside(stages[phase.name].deps) & set(made_by)}
        assert hangs_on == set(phase.needs)


def test_stages_run_exactly_the_modules_that_are_imported(
    sources: Sources, stages: dict[str, Any]
) -> None:
    """By another reader of imports (grimp): a stage hangs on the modules its phase runs through."""
    graph = grimp.build_graph("mahals", exclude_type_checking_imports=True)
    for module in OUTSIDE:  # in the graph, a package stands for what is in it
        for imported in graph.find_modules_directly_imported_by(module):
            graph.remove_import(importer=module, imported=imported)
    for name in sources.studied:
        roots = [f"mahals.phases.{name}.rows", f"mahals.phases.{name}.measure", *ROOTS]
        reached = {m for root in roots for m in graph.find_upstream_modules(root)} | set(roots)
        parents = {m.rsplit(".", i)[0] for m in reached for i in range(m.count(".") + 1)}
        todo = parents - reached
        reached |= todo | {m for root in todo for m in graph.find_upstream_modules(root)}
        code = modules_in(inside(stages[name].deps))
        own = {*OUTSIDE, f"mahals.phases.{name}"}
        assert code == {module_file(module) for module in reached - own}, name


def modules_in(deps: set[str]) -> set[str]:
    """The modules among dependencies: files, and those of folders."""
    tops = [ROOT / dep for dep in deps if dep.startswith("mahals/")]
    paths = [path for top in tops for path in (top, *top.rglob("*.py")) if path.suffix == ".py"]
    return {path.relative_to(ROOT).as_posix() for path in paths}


def module_file(module: str) -> str:
    path = ROOT.joinpath(*module.split("."))
    file = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
    return file.relative_to(ROOT).as_posix()


def test_values_that_decide_are_params_of_the_stage(
    sources: Sources, stages: dict[str, Any]
) -> None:
    shapes = {f"{model}.organism" for model in sources.models}
    for name, phase in sources.studied.items():
        deps = [d for d in stages[name].deps if hasattr(d, "params")]
        keys = {key for d in deps for key in d.params}
        assert {name, *phase.shared, "weights", "seed"} <= keys
        assert ("models" in keys) == (phase.reads != "none")
        assert keys & shapes == (shapes if name == "organisms" else set())


def test_weights_of_the_hub_need_no_organisms(sources: Sources) -> None:
    hub = pipeline(replace(sources, params={**sources.params, "weights": "hub"}))["stages"]
    for name, stage in hub.items():
        if not name.startswith(("organisms", PUBLISH)):
            assert not any("results/organisms/" in str(dep) for dep in stage["deps"])


def test_dvc_rebuilds_the_phases_of_the_study_alone(sources: Sources) -> None:
    """Else `dvc repro` after `mlflow run .` would run what nobody asked for."""
    less = {"short": ("datasets", "organisms")}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("mahals.harness.manifests.sources.STUDIES", less)
        short = replace(sources, params={**sources.params, "study": "short"})
        assert set(pipeline(short)["stages"]) == {
            "datasets_gather",
            "datasets",
            "organisms",
            "organisms_gather",
            PUBLISH,
        }
        with pytest.raises(InputError, match="core"):
            pipeline(sources)
