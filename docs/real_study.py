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
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from docs.pages import Marks, rewrite
from docs.real_lines import ABSENT, LINES, WAITING
from mahals.harness.workspace.paths import Workspace
from mahals.harness.workspace.results import Results, all_results
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


def taken(results: Sequence[Results]) -> RealStudy:
    """The study's numbers, from the newest gather of each phase over several real models.

    Raises InputError where there is none.
    """
    gathers: dict[str, Results] = {}
    for each in sorted(results, key=lambda r: str(r.run()["finished"])):
        run = each.run()
        if each.unit == STUDY and each.is_gather and run["weights"] == "hub":
            gathers[each.phase] = each
    if not gathers:
        raise InputError(
            "results of the real study",
            expected="gathers of phases at weights=hub",
            got="none",
            cure="run `mlflow run . -P weights=hub -P overlay=small` here",
        )
    found = {f"{phase}/{n}": v for phase, r in gathers.items() for n, v in r.metrics().items()}
    named = {name for line in LINES for name in line.read(found)}
    newest = max((r.run() for r in gathers.values()), key=lambda run: str(run["finished"]))
    models = max((r.run()["models"] for r in gathers.values()), key=len)
    apart = [r for r in gathers.values() if not set(r.run()["models"]) <= set(models)]
    if apart:
        raise InputError(
            "results of the real study",
            expected=f"gathers of {', '.join(models)}",
            got=f"{apart[0].phase} of {', '.join(apart[0].run()['models'])}",
            cure="run that phase for the same models",
        )
    return RealStudy(tuple(models), _made(newest), {n: found[n] for n in sorted(named)})


def _made(run: dict[str, Any]) -> dict[str, str]:
    """By what it was measured."""
    return {
        "commit": str(run["commit"])[:12],
        "torch": str(run["versions"]["torch"]),
        "transformers": str(run["versions"]["transformers"]),
        "on": ", ".join(sorted({str(place["cpu"]) for place in run["ran_on"]})),
    }


def main(words: Sequence[str] | None = None) -> int:
    """Writes the tables into their pages; with --check says which are old."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; fail if a page is old")
    parser.add_argument("--take", action="store_true", help="keep the numbers of stored results")
    options = parser.parse_args(words)
    if options.take:
        study = taken(all_results(Workspace.locate()))
        plain = {"models": study.models, "made": study.made, "metrics": study.metrics}
        KEPT.write_text(json.dumps(plain, indent=1, sort_keys=True) + "\n", encoding="utf-8")
    parts = [(page, block(read(), short)) for page, short in PAGES.items()]
    return rewrite(parts, MARKS, "python -m docs.real_study", options.check)


if __name__ == "__main__":
    raise SystemExit(main())
