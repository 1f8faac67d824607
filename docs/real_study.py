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
from collections.abc import Iterable, Iterator, Sequence, Set
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from docs.pages import Marks, rewrite
from docs.real_lines import ABSENT, LINES, WAITING
from mahals.harness.workspace.fingerprint import Resolver
from mahals.harness.workspace.paths import Workspace
from mahals.harness.workspace.results import Results, all_results
from mahals.harness.workspace.settings import load_settings
from mahals.phase import STUDY
from mahals.records import InputError, from_plain

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


@dataclass(frozen=True)
class RealStudy:
    """What is kept of the study."""

    models: tuple[str, ...]
    made: dict[str, str]  # commit, machine, versions
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
    phases = {name.partition("/")[0] for name in study.metrics}
    lines = [e for e in LINES if (e.short or not short) and e.phase in phases]
    rows = [
        f"| {each.words} | "
        + " | ".join(each.figure(m, study.metrics) for m in study.models)
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


def current(workspace: Workspace) -> frozenset[str]:
    """The fingerprints of the study's units by code and values as they stand."""
    settings = load_settings(workspace, OVERLAY, {})
    units = Resolver(workspace, settings)
    phases = {line.phase for line in LINES}
    marks = (units.fingerprint(p, m) for p in phases for m in settings.models)
    return frozenset(mark for mark in marks if mark is not None)


def taken(results: Sequence[Results], marks: Set[str]) -> RealStudy:
    """The study's numbers: of each phase from the gather over most models, its units in `marks`.

    Raises InputError where there is none.
    """
    gathers: dict[str, Results] = {}
    for each in sorted(results, key=lambda r: (len(r.run()["models"]), str(r.run()["finished"]))):
        if each.unit == STUDY and each.is_gather and marks >= _units(each):
            gathers[each.phase] = each
    if not gathers:
        raise InputError(
            "results of the real study",
            expected="gathers of phases by the code as it stands",
            got="none",
            cure="run `mlflow run . -P weights=hub -P overlay=small` here",
        )
    found = {name: v for phase, r in gathers.items() for name, v in _named(phase, r)}
    named = {name for line in LINES for name in line.read(found)}
    models = max((r.run()["models"] for r in gathers.values()), key=len)
    apart = [r for r in gathers.values() if not set(r.run()["models"]) <= set(models)]
    if apart:
        raise InputError(
            "results of the real study",
            expected=f"gathers of {', '.join(models)}",
            got=f"{apart[0].phase} of {', '.join(apart[0].run()['models'])}",
            cure="run that phase for the same models",
        )
    units = {mark for r in gathers.values() for mark in _units(r)}
    made = _made([r.run() for r in results if r.fingerprint in units])
    return RealStudy(tuple(models), made, {n: found[n] for n in sorted(named)})


def _units(gather: Results) -> Set[str]:
    """The fingerprints of what it sums up."""
    return set(gather.run()["inputs"]["units"].values())


def _named(phase: str, gather: Results) -> Iterator[tuple[str, float]]:
    """The metrics of a gather under its phase and a model, which one of a single model leaves out.

    The unsteered model's gap is that of the prompt less what the prompt gains: it has no interval.
    """
    models, metrics = gather.run()["models"], gather.metrics()
    alone = f"{models[0]}/" if len(models) == 1 else ""
    for name, value in metrics.items():
        yield f"{phase}/{alone}{name}", value
        if name.endswith(PROMPT) and f"{name}_gain" in metrics:
            whose = name.removesuffix(PROMPT)
            yield f"{phase}/{alone}{whose}unsteered/refusal_gap", value - metrics[f"{name}_gain"]


def _made(units: Sequence[dict[str, Any]]) -> dict[str, str]:
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
        plain = {"models": study.models, "made": study.made, "metrics": study.metrics}
        KEPT.write_text(json.dumps(plain, indent=1, sort_keys=True) + "\n", encoding="utf-8")
    parts = [(page, block(read(), short)) for page, short in PAGES.items()]
    return rewrite(parts, MARKS, "python -m docs.real_study", options.check)


if __name__ == "__main__":
    raise SystemExit(main())
