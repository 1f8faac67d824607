"""Claims: which findings do README and the findings pages tell, of which numbers, planted or not?

`python -m docs.claims` writes the tables between two marks of the pages, from what
`mlflow run . -e replication` measured; `--check` writes nothing and fails where a page is old. The
words of a claim are true whatever its figure says; what holds, and in how many trainings, is
computed.

The core study's numbers lie under results/. Those of other studies do not; what their tables read
is kept in docs/studies by

    python -m docs.claims --take misalignment RESULTS/metrics.json
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from docs.claim_lists import AGENTS, CLAIMS, MISALIGNMENT
from docs.claim_rows import Claim, Count, Metrics
from docs.pages import Marks, rewrite
from mahals.records import InputError

ROOT = Path(__file__).resolve().parent.parent
METRICS = ROOT / "results" / "replication" / "study" / "metrics.json"
STUDIES = ROOT / "docs" / "studies"
PAGES = (ROOT / "README.md", ROOT / "docs" / "findings.md")
MARKS = Marks(
    "<!-- CLAIMS: written by `python -m docs.claims`, do not edit -->", "<!-- END OF CLAIMS -->"
)
NOT_YET = (
    "Not yet measured at R >= 2 trainings: `mlflow run . -e replication -P trainings=5` and "
    "`python -m docs.claims` fill this place."
)
ENDS = ("", "_low", "_high", "_held", "_trainings")


@dataclass(frozen=True)
class Table:
    """A list of claims, where its numbers lie, and the pages that show it."""

    claims: tuple[Claim | Count, ...]
    metrics: Path
    pages: tuple[Path, ...]


TABLES = {
    "core": Table(CLAIMS, METRICS, PAGES),
    "misalignment": Table(
        MISALIGNMENT,
        STUDIES / "replication_misalignment.json",
        (ROOT / "docs/findings-misalignment.md",),
    ),
    "agents": Table(
        AGENTS, STUDIES / "replication_agents.json", (ROOT / "docs/findings-agents.md",)
    ),
}


def block(metrics: Metrics | None, claims: Sequence[Claim | Count] = CLAIMS) -> str:
    """What stands between the marks, them included."""
    if metrics is None or metrics.get("trainings", 0) < 2:
        return MARKS.around([NOT_YET])
    rows = [row for claim in claims for row in claim.rows(metrics)]
    trainings = f"{metrics['trainings']:.0f}"
    names = sorted({m for c in claims if isinstance(c, Claim) for m in c.models(metrics)})
    lines = [
        f"{trainings} trainings of the organisms of {len(names)} models ({', '.join(names)}). "
        "Figures are means over trainings with the 95 % interval between them; *held* counts the "
        "trainings whose own 95 % interval lies on the side of 0 where the mean is, be it the "
        "wanted side or not (a line of the board: above 0, and not over the ceiling).",
        "",
        f"| claim | figure | held in k of {trainings} | what was planted |",
        "|---|---|---|---|",
        *(f"| {r.claim} | {r.figure} | {r.held} | {r.planted} |" for r in rows),
    ]
    return MARKS.around(lines)


def read(path: Path) -> Metrics | None:
    """The metrics of replication; None where it was not measured."""
    if not path.is_file():
        return None
    found: dict[str, float] = json.loads(path.read_text(encoding="utf-8"))
    return found


def take(table: Table, found: Path) -> None:
    """Keeps of replication's metrics what a table reads. Raises InputError where none is there."""
    metrics = read(found) or {}
    names = [n for c in table.claims if isinstance(c, Claim) for n in c.names(metrics)]
    if not names:
        raise InputError(
            f"metrics of {found.name}",
            expected="those of a replication that has the table's phases",
            got=f"{len(metrics)} others",
            cure="name the metrics.json of such a replication",
        )
    kept = {n + end: metrics[n + end] for n in names for end in ENDS if n + end in metrics}
    kept["trainings"] = metrics["trainings"]
    table.metrics.write_text(json.dumps(kept, indent=1, sort_keys=True) + "\n", encoding="utf-8")


def main(words: Sequence[str] | None = None) -> int:
    """Writes the tables into their pages; with --check says which are old."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; fail if a page is old")
    parser.add_argument("--take", nargs=2, metavar=("TABLE", "METRICS"), help="keep its numbers")
    options = parser.parse_args(words)
    if options.take is not None:
        take(TABLES[options.take[0]], Path(options.take[1]))
    parts = [
        (page, block(read(table.metrics), table.claims))
        for table in TABLES.values()
        for page in table.pages
    ]
    return rewrite(parts, MARKS, "python -m docs.claims", options.check)


if __name__ == "__main__":
    raise SystemExit(main())
