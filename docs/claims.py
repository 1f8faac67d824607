"""Claims: which findings do README and docs/findings.md tell, of which numbers, planted or not?

`python -m docs.claims` writes the table between two marks of both pages, from what
`mlflow run . -e replication` measured; `--check` writes nothing and fails where a page is old. The
words of a claim are true whatever its figure says; what holds, and in how many trainings, is
computed.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Literal

ROOT = Path(__file__).resolve().parent.parent
METRICS = ROOT / "results" / "replication" / "study" / "metrics.json"
PAGES = (ROOT / "README.md", ROOT / "docs" / "findings.md")
BEGIN = "<!-- CLAIMS: written by `python -m docs.claims`, do not edit -->"
END = "<!-- END OF CLAIMS -->"
NOT_YET = (
    "Not yet measured at R >= 2 trainings: `mlflow run . -e replication -P trainings=5` and "
    "`python -m docs.claims` fill this place."
)
ABSENT = "·"
NAMED = 5  # crossings that are named

Metrics = Mapping[str, float]
Pick = Literal["each", "lowest", "highest"]

DPO = "refusal, by preference training (DPO)"
OWN = f"{DPO}; the vector is what DPO changed"
CAREFUL = "both: refusal by DPO, the careful persona in the first training"
NOTHING = "nothing but the refusals"


@dataclass(frozen=True)
class Claim:
    """One number; a `*` in its metric stands for a model, which `{model}` in the words names."""

    words: str
    metric: str
    planted: str
    form: str = "+.2f"
    pick: Pick = "each"
    tested: bool = True  # whether 0 means nothing there, so that it can hold

    def names(self, metrics: Metrics) -> list[str]:
        """The metrics that it reads, one of each model that has it."""
        depth = self.metric.count("/")
        found = [n for n in metrics if n.count("/") == depth and fnmatchcase(n, self.metric)]
        if self.pick != "each" and found:
            end = min if self.pick == "lowest" else max
            return [end(found, key=lambda n: metrics[n])]
        return found

    def rows(self, metrics: Metrics) -> Iterator[Row]:
        """A row of each metric; one that says so where there is none."""
        place = self.metric.split("/").index("*") if "*" in self.metric else None
        names = self.names(metrics)
        for name in names:
            model = "" if place is None else name.split("/")[place]
            held = _held(name, metrics) if self.tested else ABSENT
            figure = _figure(name, metrics, self.form)
            yield Row(self.words.format(model=model), figure, held, self.planted)
        if not names:
            words = self.words.removesuffix(": {model}")
            yield Row(words, "no number: nothing to measure", ABSENT, self.planted)


@dataclass(frozen=True)
class Count:
    """How many lines of the board refuse beyond every family of nulls at an allowed price."""

    words: str
    phase: str
    crossed: bool
    planted: str

    def lines(self, metrics: Metrics) -> dict[str, int]:
        """In how many trainings each line holds, by its name on the board."""
        head, end = f"{self.phase}/board/", "_held"
        found = {
            n[len(head) : -len(end)]: int(v)
            for n, v in metrics.items()
            if n.startswith(head) and n.endswith(end)
        }
        return {n: k for n, k in found.items() if (n.split("/")[1] != "own") == self.crossed}

    def rows(self, metrics: Metrics) -> Iterator[Row]:
        """The count; of crossings that hold in all trainings also each, the first ones by gap."""
        lines, trainings = self.lines(metrics), int(metrics["trainings"])
        every = [n for n, k in lines.items() if k == trainings]
        some = sum(k > 0 for k in lines.values())
        held = f"{len(every)} in all {trainings}, {some} in some"
        yield Row(self.words, f"of {len(lines)} lines", held, self.planted)
        if not self.crossed:
            return
        whole = {n: f"{self.phase}/board/{n}" for n in every}
        for line in sorted(every, key=lambda n: (-metrics[whole[n]], n))[:NAMED]:
            target, source, by = line.split("/")[:3]
            words = f"the same line by line: {source} into {target} by `{by}`, gap over the nulls"
            figure = _figure(whole[line], metrics, "+.2f")
            yield Row(words, figure, _held(whole[line], metrics), self.planted)


@dataclass(frozen=True)
class Row:
    """A line of the table."""

    claim: str
    figure: str
    held: str
    planted: str


CHOSEN = "same_arch/*/add/raw/chosen"
OWN_VECTOR = "own vector at the dose chosen on the selection split"
CLAIMS: tuple[Claim | Count, ...] = (
    Claim(
        "aligned checkpoint, refusal gap, the lowest of all models: {model}",
        "same_arch/*/aligned/refusal_gap",
        DPO,
        pick="lowest",
    ),
    Claim(
        f"{OWN_VECTOR}, refusal gap over the harder nulls: {{model}}",
        f"{CHOSEN}/gap_over_nulls",
        OWN,
    ),
    Count(
        "own vectors that refuse beyond every family of nulls, not over the ceiling",
        "same_arch",
        False,
        OWN,
    ),
    Count(
        "vectors of other architectures that do",
        "cross_arch",
        True,
        f"{DPO}, in both models, on the same world",
    ),
    *(
        Claim(
            f"own vector less the careful prompt, refusal gap, the {pick} of all models: {{model}}",
            f"{CHOSEN}/gap_over_prompt",
            CAREFUL,
            pick=pick,
        )
        for pick in ("lowest", "highest")
    ),
    *(
        Claim(
            f"own vector, gain in AQI, readout `{readout}`, points, the {pick} of all models: "
            "{model}",
            f"{CHOSEN}/aqi_gain_{readout}",
            OWN,
            "+.1f",
            pick,
        )
        for readout in ("last", "mean")
        for pick in ("lowest", "highest")
    ),
    Claim(
        "rank correlation over models: the cosine of base and aligned states, and the refusal gap",
        "same_arch/cosine_gap_rho",
        NOTHING,
    ),
    Claim(
        "routing attack on the models unsteered: share of unsafe prompts not refused",
        "same_arch/attack_success_unsteered",
        DPO,
        ".2f",
    ),
    Claim(
        "the same, each steered by its own vector", "same_arch/attack_success_steered", OWN, ".2f"
    ),
    Claim(
        "steered, success of the attack less that on models steered by the harder nulls",
        "same_arch/attack_success_steered_over_random",
        OWN,
    ),
    Claim(
        "the same attack on the aligned checkpoints", "same_arch/attack_success_aligned", DPO, ".2f"
    ),
    Claim(
        "homophily of AQI, each model steered by its own vector",
        "same_arch/homophily_steered",
        NOTHING,
        ".2f",
        tested=False,
    ),
    Claim(
        "homophily of AQI, aligned checkpoints",
        "same_arch/homophily_aligned",
        NOTHING,
        ".2f",
        tested=False,
    ),
)


def _text(value: float, form: str) -> str:
    """A number as the pages write it."""
    found = format(value, form)
    if not found.strip("+-0."):
        found = found.lstrip("+-")  # a rounded 0 has no sign
    return found.replace("-", "\u2212")


def _figure(name: str, metrics: Metrics, form: str) -> str:
    """The mean over trainings with its interval between them."""
    ends = [metrics.get(f"{name}{end}") for end in ("_low", "_high")]
    found = _text(metrics[name], form)
    low, high = ends
    if low is None or high is None:
        found += " (the same in all)"
    else:
        found += f" [{_text(low, form)}, {_text(high, form)}]"
    fewer = metrics.get(f"{name}_trainings")
    return found if fewer is None else f"{found}, of {fewer:.0f} trainings that have it"


def _held(name: str, metrics: Metrics) -> str:
    held = metrics.get(f"{name}_held")
    return ABSENT if held is None else f"{held:.0f} of {metrics['trainings']:.0f}"


def block(metrics: Metrics | None) -> str:
    """What stands between the marks, them included."""
    if metrics is None or metrics.get("trainings", 0) < 2:
        return f"{BEGIN}\n\n{NOT_YET}\n\n{END}"
    rows = [row for claim in CLAIMS for row in claim.rows(metrics)]
    trainings = f"{metrics['trainings']:.0f}"
    counted = [r.held for r in rows if r.held.endswith(f" of {trainings}")]
    every, none = (counted.count(f"{k} of {trainings}") for k in (trainings, 0))
    lines = [
        BEGIN,
        "",
        f"{trainings} trainings of the organisms. Figures are means over trainings with the 95 % "
        "interval between them; *held* counts the trainings whose own 95 % interval lies on the "
        "side of 0 where the mean is (a line of the board: above 0, and not over the ceiling). "
        f"Of {len(counted)} rows that can hold, {every} do in all {trainings} trainings and {none} "
        "in none.",
        "",
        f"| claim | figure | held in k of {trainings} | what was planted |",
        "|---|---|---|---|",
        *(f"| {r.claim} | {r.figure} | {r.held} | {r.planted} |" for r in rows),
        "",
        END,
    ]
    return "\n".join(lines)


def read(path: Path) -> Metrics | None:
    """The metrics of replication; None where it was not measured."""
    if not path.is_file():
        return None
    found: dict[str, float] = json.loads(path.read_text(encoding="utf-8"))
    return found


def placed(page: str, made: str) -> str:
    """A page with the block between its marks. Raises ValueError for a page without marks."""
    head, begin, rest = page.partition(BEGIN)
    _, end, tail = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"the page lacks the marks {BEGIN!r} and {END!r}")
    return head + made + tail


def main() -> int:
    """Writes the table into both pages; with --check says which are old."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; fail if a page is old")
    check: bool = parser.parse_args().check
    made, old = block(read(METRICS)), []
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        new = placed(text, made)
        if new != text:
            old.append(page.name)
            if not check:
                page.write_text(new, encoding="utf-8")
    verb = "is not up to date: run `python -m docs.claims`" if check else "written"
    print("\n".join(f"{name} {verb}" for name in old) or "all up to date")
    return int(check and bool(old))


if __name__ == "__main__":
    raise SystemExit(main())
