"""Trial files: what do `export` and `trials` do with the trials of the resistance study?"""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mahals.records import InputError

Keys = Mapping[str, Any]


def export_trials(phase: str, unit: str, out: str) -> int:
    """Writes a unit's trials in the published study's JSON schema."""
    from mahals.harness.workspace.artifacts import KeptFiles
    from mahals.harness.workspace.paths import Workspace
    from mahals.harness.workspace.results import all_results
    from mahals.maths.metrics.resistance import ResistanceTrial
    from mahals.reporting.study_files import study_json

    workspace = Workspace.locate()
    if workspace.phase(phase).row is not ResistanceTrial:
        raise InputError(
            f"export {phase}/{unit}",
            expected="a phase of trials, or a steering vector",
            got=phase,
            cure="name esr, esr_boost, esr_prompts, esr_ablation, esr_random, esr_finetune or "
            "esr_unsteered",
        )
    found = [r for r in all_results(workspace) if (r.phase, r.unit) == (phase, unit)]
    if not found:
        raise InputError(
            f"export {phase}/{unit}",
            expected="results of that unit",
            got="none",
            cure=f"mahals run {phase} --unit {unit}",
        )
    newest = max(found, key=lambda r: (r.is_canonical, str(r.run()["finished"])))
    kept = KeptFiles(phase, {unit: newest.kept()})
    trials = newest.rows()
    Path(out).write_text(study_json(trials, kept), encoding="utf-8")
    print(f"wrote {out}: {len(trials)} trials of {phase} {unit}")
    return 0


def trials(options: Namespace, keys: Keys) -> int:
    """Prints the rates of a study file, with intervals over its features."""
    from mahals.maths.metrics.resistance import rates
    from mahals.reporting.published_resistance import published_line
    from mahals.reporting.resistance import SAID, groups, rates_text
    from mahals.reporting.study_files import read_study_file

    found = read_study_file(Path(options.file))
    told = [n for n in SAID if n != "degenerate_share" or any(t.degenerate for t in found)]
    print(f"{options.file}: {rates_text(rates(found), told)}")
    several = groups(found, ("subject", "situation", "ablated", "variant"))
    for group in several if len(several) > 1 else ():
        print(f"  {group.name}: {rates_text(group.rates, told)}")
    print(published_line("esr"))
    return 0
