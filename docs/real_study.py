"""Real study: what was found on real checkpoints, as README and its findings page tell it?

`mlflow run . -P weights=hub -P overlay=small` measures it; its results lie below .mahals/runs,
which is in no repository. What the pages read is kept in docs/studies/real_small.json by

    python -m docs.real_study --take

and `python -m docs.real_study` writes the tables between two marks of the pages (`--check` writes
nothing and fails where a page is old). The words of a line are true whatever its figure says.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from docs.pages import Marks, rewrite
from docs.real_lines import ABSENT, LINES, WAITING
from mahals.harness.workspace.fingerprint import Resolver
from mahals.harness.workspace.paths import Workspace
from mahals.harness.workspace.results import Results, all_results
from mahals.harness.workspace.settings import Settings, load_settings
from mahals.harness.workspace.telling import is_told
from mahals.phase import STUDY
from mahals.records import InputError, from_plain, to_plain

ROOT = Path(__file__).resolve().parent.parent
KEPT = ROOT / "docs" / "studies" / "real_small.json"
PAGES = {ROOT / "README.md": True, ROOT / "docs" / "findings-real.md": False}
"""Each page, and whether it shows the short table."""
MARKS = Marks(
    "<!-- REAL STUDY: written by `python -m docs.real_study`, do not edit -->",
    "<!-- END OF REAL STUDY -->",
)
NOT_YET = "Not measured yet."
OVERLAY, PROMPT = "small", "prompt/refusal_gap"
Units = Mapping[tuple[str, str], str]  # of phase and model: a fingerprint


@dataclass(frozen=True)
class RealStudy:
    """What is kept of the study."""

    models: tuple[str, ...]
    made: dict[str, str]  # commit, machine, versions
    measured: tuple[str, ...]  # "<phase>/<model>"
    metrics: dict[str, float]  # "<phase>/<model>/<metric>"


def read() -> RealStudy | None:
    """What is kept; None before anything was taken."""
    if not KEPT.is_file():
        return None
    return from_plain(RealStudy, json.loads(KEPT.read_text(encoding="utf-8")), KEPT.name)


def block(study: RealStudy | None, short: bool) -> str:
    """What stands between the marks, them included."""
    if study is None:
        return MARKS.around([NOT_YET])
    phases = {name.partition("/")[0] for name in study.measured}
    lines = [e for e in LINES if (e.short or not short) and e.phase in phases]
    rows = [
        f"| {each.words} | "
        + " | ".join(each.figure(m, study.metrics, study.measured) for m in study.models)
        + " |"
        for each in lines
    ]
    head = f"| | {' | '.join(study.models)} |"
    rule = "|---" * (1 + len(study.models)) + "|"
    made = ", ".join(f"{name} {value}" for name, value in study.made.items())
    told = (
        f"Measured with {made}. 95 % intervals over prompts; `{ABSENT}` is absent: the report says "
        f"why; `{WAITING}` was not measured yet."
    )
    missing = list(dict.fromkeys(f"`{e.phase}`" for e in LINES if e.phase not in phases))
    if missing:
        told += f" Not measured yet: {', '.join(missing)}."
    return MARKS.around([told, "", head, rule, *rows])


def current(workspace: Workspace) -> Units:
    """The fingerprint of each unit of the study by code and values as they stand."""
    settings = load_settings(workspace, OVERLAY, {})
    return units_of(workspace, settings, dict.fromkeys(line.phase for line in LINES))


def units_of(workspace: Workspace, settings: Settings, phases: Iterable[str]) -> Units:
    """The fingerprint of each phase and model under some settings."""
    resolver = Resolver(workspace, settings)
    marks = {(p, m): resolver.fingerprint(p, m) for p in phases for m in settings.models}
    return {unit: mark for unit, mark in marks.items() if mark is not None}


def taken(results: Sequence[Results], units: Units) -> RealStudy:
    """The study's numbers: of each phase and model from the newest gather of the unit in `units`.

    A gather counts that was told by the code as it stands. Raises InputError where there is none.
    """
    gathers = gathered(results, units)
    if not gathers:
        raise InputError(
            "results of the real study",
            expected="gathers of phases by the code as it stands",
            got="none",
            cure="run `mlflow run . -P weights=hub -P overlay=small` here",
        )
    found = {n: v for (p, m), gather in gathers.items() for n, v in named(p, m, gather)}
    shown = sorted({name for line in LINES for name in line.read(found)})
    marks = {units[unit] for unit in gathers}
    return RealStudy(
        models=tuple(dict.fromkeys(m for _, m in units if any(m == k for _, k in gathers))),
        made=made_by([r.run() for r in results if r.fingerprint in marks]),
        measured=tuple(sorted(f"{phase}/{model}" for phase, model in gathers)),
        metrics={name: found[name] for name in shown},
    )


def gathered(results: Sequence[Results], units: Units) -> dict[tuple[str, str], Results]:
    """By phase and model the newest gather of that unit that the code as it stands has told."""
    gathers: dict[tuple[str, str], Results] = {}
    for each in sorted(results, key=lambda r: str(r.run()["finished"])):
        if each.unit == STUDY and each.is_gather and is_told(each):
            for model, mark in each.run()["inputs"]["units"].items():
                if units.get((each.phase, model)) == mark:
                    gathers[each.phase, model] = each
    return gathers


def named(phase: str, model: str, gather: Results) -> Iterator[tuple[str, float]]:
    """A model's metrics in a gather, under phase and model, which one of a single model leaves out.

    The unsteered model's gap is that of the prompt less what the prompt gains: it has no interval.
    """
    begin = "" if len(gather.run()["models"]) == 1 else f"{model}/"
    own = {n.removeprefix(begin): v for n, v in gather.metrics().items() if n.startswith(begin)}
    if PROMPT in own and f"{PROMPT}_gain" in own:
        own["unsteered/refusal_gap"] = own[PROMPT] - own[f"{PROMPT}_gain"]
    for name, value in own.items():
        yield f"{phase}/{model}/{name}", value


def made_by(units: Sequence[dict[str, Any]]) -> dict[str, str]:
    """By what the units were measured."""

    def each(values: Iterable[str]) -> str:
        return ", ".join(sorted(set(values)))

    return {
        "commit": each(str(run["commit"])[:12] for run in units),
        "torch": each(str(run["versions"]["torch"]) for run in units),
        "transformers": each(str(run["versions"]["transformers"]) for run in units),
        "on": each(str(place["cpu"]) for run in units for place in run["ran_on"]),
    }


def main(words: Sequence[str] | None = None) -> int:
    """Writes the tables into their pages; with --check says which are old."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; fail if a page is old")
    parser.add_argument("--take", action="store_true", help="keep the numbers of stored results")
    options = parser.parse_args(words)
    if options.take:
        workspace = Workspace.locate()
        study = taken(all_results(workspace), current(workspace))
        KEPT.write_text(
            json.dumps(to_plain(study), indent=1, sort_keys=True) + "\n", encoding="utf-8"
        )
    parts = [(page, block(read(), short)) for page, short in PAGES.items()]
    return rewrite(parts, MARKS, "python -m docs.real_study", options.check)


if __name__ == "__main__":
    raise SystemExit(main())
